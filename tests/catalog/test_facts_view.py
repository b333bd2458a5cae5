"""A variant's facts and the code to copy: true to the files, computed at a context, for who sees the card alone."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from inference.memory_at_context import MemoryAtContext, weight_bytes_in
from portal.catalog.models import ModelCard, Variant
from portal.catalog.services import refresh_variant
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant, write_weights

pytestmark = pytest.mark.django_db
FACTS = "/models/acme/tiny-360M/f32/facts/"
USE = "/models/acme/tiny-360M/f32/use/"


@pytest.fixture(autouse=True)
def variant(tmp_path: Path, settings: Any) -> Variant:
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    folder = write_weights(tmp_path / "tiny", torch_dtype="bfloat16")
    (folder / "README.md").write_text(CARD_TEXT.replace("apache-2.0", "mit"))
    (folder / "LICENSE").write_text("Apache License\n   Version 2.0, January 2004\n")
    (folder / "tokenizer_config.json").write_text(
        '{"chat_template": "<{{ messages[-1].content }}>", "eos_token": "<e>"}'
    )
    call_command("import_model", str(folder), "--name", "acme/tiny-360M", "--json")
    return Variant.objects.get()


def test_the_page_says_where_card_and_weights_disagree(alice_client: Client) -> None:
    for address in (FACTS, "/models/acme/tiny-360M/"):
        page = html.unescape(alice_client.get(address).text)
        for said in ("360M", "mit", "apache-2.0, by the licence among the files", "stored as F32"):
            assert said in page, (address, said)


def test_the_template_is_shown_at_work(alice_client: Client) -> None:
    page = html.unescape(alice_client.get(FACTS).text)
    assert "<code><Who invented it?></code>" in page
    assert "<code><e></code>" in page


def test_memory_is_computed_for_the_context_that_is_asked_for(alice_client: Client) -> None:
    """Two times one layer with two heads, each two wide: 8 numbers per token."""
    page = as_written(alice_client, f"{FACTS}?tokens=1000&conversations=3&number_bytes=4")
    assert "8 numbers per token x 4 bytes x 1,000 tokens x 3 conversations = 96,000 bytes" in page
    assert "8 = 2 x 1 layers x 2 key/value heads x 2." in page
    wrong = as_written(alice_client, f"{FACTS}?tokens=0&conversations=x&number_bytes=3")
    assert wrong.count('aria-invalid="true"') == 3
    assert "8 numbers per token x 2 bytes x 128 tokens x 1" in wrong


def as_written(client: Client, address: str) -> str:
    return client.get(address).text.replace("\N{MULTIPLICATION SIGN}", "x")


def test_bytes_of_weights_by_number_format() -> None:
    assert [weight_bytes_in(name, 1000, 7) for name in ("float32", "bfloat16", "int8", "int4", "")] == [
        4000,
        2000,
        1000,
        625,
        7,
    ]
    smollm2 = MemoryAtContext(269_030_016, 2 * 30 * 3 * 64, 2, 8192, 1)
    assert (smollm2.per_token, smollm2.keys_and_values) == (23_040, 188_743_680)


def test_what_was_read_before_more_was_read_is_read_again(variant: Variant) -> None:
    Variant.objects.update(facts={"format": 1}, is_runnable=False)
    variant.refresh_from_db()
    assert refresh_variant(variant)
    assert variant.facts["license_of_files"] == "apache-2.0"
    assert not variant.is_runnable
    assert not refresh_variant(variant)


def test_snippets_name_ids_and_digests_exactly(alice_client: Client, variant: Variant) -> None:
    page = html.unescape(alice_client.get(USE).text)
    assert re.findall(r'data-snippet="([^"]+)"', page) == ["openai", "curl", "transformers", "vllm"]
    assert variant.digests["model.safetensors"] in page
    assert "model='acme/tiny-360M:f32'" in page
    assert "http://testserver/v1" in page
    Variant.objects.update(facts=variant.facts | {"hub": {"repo_id": "org/it", "commit": "c" * 40}})
    page = html.unescape(alice_client.get(USE).text)
    assert f"from_pretrained(name, revision='{'c' * 40}'" in page
    assert f"vllm serve org/it --revision {'c' * 40}" in page
    Variant.objects.update(is_runnable=False)
    assert 'data-snippet="openai"' not in alice_client.get(USE).text


def test_a_hostile_file_name_stays_one_word_of_the_shell(alice_client: Client, variant: Variant) -> None:
    origin = {"source": "a.gguf; rm -rf ~ #'", "source_sha256": "d" * 64}
    Variant.objects.update(facts=variant.facts | {"origin": origin})
    page = html.unescape(alice_client.get(USE).text)
    assert """--model 'a.gguf; rm -rf ~ #'"'"''""" in page


def test_unpublished_cards_and_upstreams(
    alice_client: Client, visitor_client: Client, maintainer_client: Client, variant: Variant
) -> None:
    upstream = make_variant(
        make_card("served"), "vllm", backend="openai", source="http://x/v1", facts={"server": "vllm"}
    )
    for page in ("facts", "use"):
        address = f"/models/acme/served/{upstream.slug}/{page}/"
        assert alice_client.get(address).status_code == 200
        # Only a maintainer's POST to the facts means something: it has the variant measured.
        assert alice_client.post(address).status_code == (404 if page == "facts" else 405)
    ModelCard.objects.update(is_published=False)
    for client in (alice_client, visitor_client):
        assert client.get(FACTS).status_code == client.get(USE).status_code == 404
    assert maintainer_client.get(FACTS).status_code == 200
