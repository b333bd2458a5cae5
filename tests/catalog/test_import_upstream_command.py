"""`manage.py import_model http://…`: a server's model becomes a variant that can run, or one sentence says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from portal.catalog.models import Backend, ModelCard, Variant
from portal.catalog.queries import get_variant_by_model_id
from portal.playground.engines import upstream_engine
from tests.inference.scripted_upstream import MODEL, ScriptedUpstream, models_document
from tests.services.installation import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


def run(address: str, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_model", address, "--json", *options, stdout=out)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refused(address: str, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        call_command("import_model", address, *options, stdout=StringIO(), stderr=StringIO())
    assert not Variant.objects.exists()
    assert not ModelCard.objects.exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_servers_only_model_becomes_a_card_with_a_variant_that_can_run(upstream: ScriptedUpstream) -> None:
    upstream.models = models_document(max_model_len=4096)
    report = run(f"{upstream.url}/", "--card", "acme/counting")
    assert report == {
        "model_id": "acme/counting:vllm", "created": True, "revision": None, "parameters": None, "left_out": [],
        "upstream_model": MODEL, "server": "vllm", "context_length": 4096,
    }  # fmt: skip
    variant = get_variant_by_model_id("acme/counting:vllm")
    assert variant is not None
    assert (variant.backend, variant.source, variant.folder) == (Backend.OPENAI, upstream.url, None)
    assert variant.context_length == 4096
    assert variant.facts["upstream"]["owned_by"] == "vllm"
    variant.clean()


def test_importing_again_creates_nothing_and_brings_the_facts_up_to_date(upstream: ScriptedUpstream) -> None:
    run(upstream.url)
    upstream.models = models_document(max_model_len=8192)
    report = run(upstream.url)
    assert (report["created"], report["context_length"]) == (False, 8192)
    assert Variant.objects.get().model_id == "local/counting:vllm"


def test_another_model_of_the_same_server_is_another_variant_of_the_card(upstream: ScriptedUpstream) -> None:
    run(upstream.url, "--card", "acme/models")
    upstream.models["data"].append({"id": "other", "owned_by": "vllm"})
    report = run(upstream.url, "--card", "acme/models", "--model", "other")
    assert report["created"]
    assert report["model_id"].startswith("acme/models:vllm-")
    assert Variant.objects.count() == 2


def test_what_llama_cpp_says_of_the_weights_is_kept(upstream: ScriptedUpstream) -> None:
    upstream.models = models_document("llamacpp", meta={"n_params": 134_515_008, "n_vocab": 49152, "size": 98_000_000})
    report = run(upstream.url)
    assert (report["server"], report["parameters"]) == ("llama.cpp", 134_515_008)


def test_the_kind_of_server_may_be_said(upstream: ScriptedUpstream) -> None:
    assert run(upstream.url, "--server", "tgi")["server"] == "tgi"


def test_a_server_that_does_not_list_what_it_serves_is_believed(upstream: ScriptedUpstream) -> None:
    upstream.models = {"object": "list", "data": []}
    report = run(upstream.url, "--server", "transformers", "--model", "/models/smollm2", "--unpublished")
    assert report["upstream_model"] == "/models/smollm2"
    assert not ModelCard.objects.get(owner_name="local", slug="smollm2").is_published


def test_the_key_goes_to_the_server_and_not_into_the_database(upstream: ScriptedUpstream, settings: Any) -> None:
    settings.UPSTREAM_API_KEYS = {"lab-key": "sk-secret"}
    run(upstream.url, "--upstream-key", "lab-key")
    row = Variant.objects.filter(pk=Variant.objects.get().pk).values().get()
    assert "sk-secret" not in str(row)
    assert row["facts"]["upstream_key"] == "lab-key"


def test_the_card_page_shows_the_model_and_neither_address_nor_key(
    upstream: ScriptedUpstream, settings: Any, client: Client
) -> None:
    settings.UPSTREAM_API_KEYS = {"lab-key": "sk-secret"}
    run(upstream.url, "--upstream-key", "lab-key")
    page = client.get("/models/local/counting/").content.decode()
    assert MODEL in page
    assert "Runs on another server" in page
    assert "Runs here" not in page
    assert "127.0.0.1" not in page
    assert "lab-key" not in page


def test_a_key_that_is_not_configured_is_named(upstream: ScriptedUpstream) -> None:
    assert refused(upstream.url, "--upstream-key", "absent") == "UPSTREAM_API_KEYS has no key named absent."


def test_a_model_that_the_server_has_not_is_named(upstream: ScriptedUpstream) -> None:
    assert refused(upstream.url, "--model", "x") == f"The upstream has no model x; it has: {MODEL}."


def test_among_several_models_one_must_be_chosen(upstream: ScriptedUpstream) -> None:
    upstream.models["data"].append({"id": "other"})
    assert "Choose one of the upstream's models with --model" in refused(upstream.url)


@pytest.mark.parametrize("document", [[], {}, {"data": 3}, {"data": {}}, b"\xff", b"[" * 100_000, "no"])
def test_a_list_of_models_that_is_none_is_refused(upstream: ScriptedUpstream, document: Any) -> None:
    upstream.models = document
    assert "is not what OpenAI's protocol says" in refused(upstream.url)


def test_an_endless_list_of_models_is_refused(upstream: ScriptedUpstream) -> None:
    upstream.models = b" " * 5_000_000
    assert "too long" in refused(upstream.url)


def test_a_server_that_is_not_there_is_said() -> None:
    assert refused(f"http://127.0.0.1:{free_port()}/v1") == "The upstream cannot be asked: Connection refused."


def test_a_wrong_base_url_is_guessed_at(upstream: ScriptedUpstream) -> None:
    assert "is this its base URL?" in refused(upstream.url + "/chat", "--model", MODEL)


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("http://me:secret@127.0.0.1/v1", "must not hold a name or a password"),
        ("http:///v1", "and a host"),
        ("http://127.0.0.1:99999/v1", "is not a URL"),
        ("http://127.0.0.1/v1?key=secret", "must not hold a query"),
        ("http://127.0.0.1/v1#x", "must not hold a query or a fragment"),
        ("http://127.0.0.1/" + "x" * 500, "at most 500 characters"),
        ("file:///etc/passwd", "There is no folder and no file"),
        ("ftp://127.0.0.1/v1", "There is no folder and no file"),
    ],
)
def test_an_address_that_must_not_be_stored_is_refused(address: str, part: str) -> None:
    message = refused(address, "--card", "acme/x")
    assert part in message
    assert "me:secret" not in message


def test_an_unknown_kind_of_server_is_named(upstream: ScriptedUpstream) -> None:
    assert "There is no server ollama" in refused(upstream.url, "--server", "ollama")


def test_a_name_that_no_address_can_hold_is_refused(upstream: ScriptedUpstream) -> None:
    assert "cannot be a card's name" in refused(upstream.url, "--card", "a/b/c")


def test_a_servers_options_do_not_go_with_a_folder(tmp_path: Any) -> None:
    assert "--model is for a server's model" in refused(str(tmp_path), "--model", "x")


# --- Afterwards


def test_an_address_cannot_be_typed_over_so_the_key_stays_where_it_belongs(upstream: ScriptedUpstream) -> None:
    run(upstream.url)
    variant = Variant.objects.get()
    variant.source = "http://elsewhere.example/v1"
    with pytest.raises(ValidationError, match="import_model"):
        variant.full_clean()
    with pytest.raises(ImproperlyConfigured, match="import it again"):
        upstream_engine(variant, lambda emissions: None)


def test_a_worker_without_the_key_says_so(upstream: ScriptedUpstream, settings: Any) -> None:
    settings.UPSTREAM_API_KEYS = {"lab-key": "sk-secret"}
    run(upstream.url, "--upstream-key", "lab-key")
    settings.UPSTREAM_API_KEYS = {}
    with pytest.raises(ImproperlyConfigured, match="no key named lab-key"):
        upstream_engine(Variant.objects.get(), lambda emissions: None)


def test_a_maintainer_cannot_make_an_upstream_in_the_admin(maintainer_client: Client) -> None:
    card = ModelCard.objects.create(owner_name="acme", slug="x", title="X")
    form = {"card": card.pk, "slug": "up", "backend": "openai", "source": "http://169.254.169.254/v1", "position": 0}
    answer = maintainer_client.post("/admin/catalog/variant/add/", {**form, "queue": "generations", "defaults": "{}"})
    assert "import_model" in answer.content.decode()
    assert not Variant.objects.exists()
