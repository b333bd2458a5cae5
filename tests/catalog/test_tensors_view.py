"""The page inside the weights: what it shows, to whom, and that it needs no weights to show it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from inference.weight_tensors import UnreadableWeights
from portal.catalog.models import TensorList, TensorPart, Variant
from portal.catalog.queries import tensor_rows
from portal.catalog.services import keep_tensor_lists, refresh_variant
from portal.catalog.tensor_rows import TensorRow, pack_rows
from tests.catalog.shelf import make_card, make_variant, write_weights
from tests.catalog.test_card_pages_view import page

pytestmark = pytest.mark.django_db
ADDRESS = "/models/acme/tiny/bf16/tensors/"


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.STEELYARD_HOME = tmp_path
    return tmp_path


@pytest.fixture
def variant(home: Path) -> Variant:
    """A variant whose weights were read and then taken away, as on a machine that only serves pages."""
    folder = write_weights(home / "weights" / "tiny")
    variant = make_variant(make_card(), facts={})
    refresh_variant(variant)
    shutil.rmtree(folder)
    return variant


def keep(variant: Variant, rows: list[TensorRow], part: TensorPart = TensorPart.WEIGHTS) -> None:
    TensorList.objects.update_or_create(variant=variant, part=part, defaults={"packed": pack_rows(rows)})


def test_the_tree_shows_every_tensor_without_the_weights_at_hand(client: Client, variant: Variant) -> None:
    html = page(client, ADDRESS)
    for part in ("embed_tokens.weight", "10 \N{MULTIPLICATION SIGN} 8", "norm.weight", "F32", "352", "90.9 %", "9.1 %"):
        assert part in html
    assert html.count("<h1") == 1
    assert html.count("<details") == html.count("</details>")
    assert f'href="{ADDRESS}"' in page(client, "/models/acme/tiny/")


def test_changed_weights_bring_their_own_list(variant: Variant, home: Path) -> None:
    assert [row.name for row in tensor_rows(variant)[TensorPart.WEIGHTS]] == [
        "model.embed_tokens.weight",
        "model.norm.weight",
    ]
    keep(variant, [TensorRow("old", "F32", (1,), 4)])
    keep(variant, [TensorRow("old", "Q4_1", (32,), 20)], TensorPart.ORIGIN)
    keep_tensor_lists(variant, write_weights(home / "weights" / "tiny"))
    assert list(tensor_rows(variant)) == [TensorPart.WEIGHTS]
    assert len(tensor_rows(variant)[TensorPart.WEIGHTS]) == 2


def test_an_unreadable_folder_leaves_the_list(variant: Variant, tmp_path: Path) -> None:
    with pytest.raises(UnreadableWeights):
        keep_tensor_lists(variant, tmp_path)
    assert len(tensor_rows(variant)[TensorPart.WEIGHTS]) == 2


def test_an_import_brings_the_list(client: Client, tmp_path: Path, settings: Any) -> None:
    settings.STEELYARD_HOME = tmp_path / "home"
    call_command("import_model", str(write_weights(tmp_path / "given")), name="acme/imported", json=True)
    variant = Variant.objects.get()
    assert "embed_tokens.weight" in page(client, f"/models/acme/imported/{variant.slug}/tensors/")


def test_a_search_lists_the_tensors_it_finds(client: Client, variant: Variant) -> None:
    html = page(client, f"{ADDRESS}?q=NORM")
    assert "1 tensor for “NORM”" in html
    assert "model.norm.weight" in html
    assert "embed_tokens" not in html
    assert "No tensor matches" in page(client, f"{ADDRESS}?q=absent%00<b>")
    assert "2 tensors" in page(client, f"{ADDRESS}?q=")


def test_the_list_has_pages(client: Client, variant: Variant) -> None:
    keep(variant, [TensorRow(f"layer.{number}.weight", "F32", (number + 1,), 4 * number) for number in range(250)])
    html = page(client, f"{ADDRESS}?q=weight&page=3")
    assert "Page 3 of 3" in html
    assert html.count('<th scope="row">') == 50


def test_the_file_before_conversion_has_a_tree_of_its_own(client: Client, variant: Variant) -> None:
    assert "converted from" not in page(client, ADDRESS)
    assert client.get(f"{ADDRESS}?part=origin").status_code == 404
    keep(variant, [TensorRow("blk.0.attn_q.weight", "Q4_1", (32, 32), 640)], TensorPart.ORIGIN)
    assert 'href="?part=origin"' in page(client, ADDRESS)
    html = page(client, f"{ADDRESS}?part=origin")
    assert "Q4_1" in html
    assert "embed_tokens" not in html
    assert client.get(f"{ADDRESS}?part=nonsense").status_code == 404


def test_programs_get_the_same_as_json(client: Client, variant: Variant) -> None:
    found = client.get("/models/acme/tiny/bf16/tensors.json").json()
    assert found["variant"] == "acme/tiny:bf16"
    assert found["tensors"][1] == {"name": "model.norm.weight", "dtype": "F32", "shape": [8], "bytes": 32}


def test_an_upstream_has_none_and_the_page_says_why(client: Client) -> None:
    make_variant(make_card(), backend="openai", source="http://upstream.example/v1")
    assert "No tensors were read" in page(client, ADDRESS)
    assert client.get("/models/acme/tiny/bf16/tensors.json").json()["tensors"] == []


def test_names_are_text_and_nothing_else(client: Client, variant: Variant) -> None:
    keep(variant, [TensorRow("<script>alert(1)</script>.a", "F32", (1,), 4), TensorRow('"><img src=x>', "F32", (), 4)])
    for address in (ADDRESS, f"{ADDRESS}?q=a"):
        html = page(client, address)
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_the_page_takes_the_same_queries_for_few_tensors_and_many(client: Client, variant: Variant) -> None:
    with CaptureQueriesContext(connection) as few:
        page(client, ADDRESS)
    keep(variant, [TensorRow(f"t{number}.weight", "F32", (number + 1,), 4) for number in range(2_000)])
    with CaptureQueriesContext(connection) as many:
        page(client, ADDRESS)
    assert len(many) == len(few) <= 3


def test_an_unpublished_cards_tensors_are_there_for_maintainers_alone(
    client: Client, alice_client: Client, maintainer_client: Client
) -> None:
    make_variant(make_card(is_published=False))
    for address in (ADDRESS, "/models/acme/tiny/bf16/tensors.json"):
        for stranger in (client, alice_client):
            assert stranger.get(address).status_code == 404
        assert maintainer_client.get(address).status_code == 200


@pytest.mark.parametrize("address", ["/models/acme/tiny/other/tensors/", "/models/acme/other/bf16/tensors/"])
def test_other_variants_are_not_there(client: Client, variant: Variant, address: str) -> None:
    assert client.get(address).status_code == 404
    assert client.post(ADDRESS).status_code == 405
