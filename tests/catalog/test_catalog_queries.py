"""What other parts are told about cards and variants."""

from __future__ import annotations

import pytest

from portal.catalog.queries import default_variant, get_variant_by_model_id, runnable_variants
from tests.catalog.shelf import make_card, make_variant

pytestmark = pytest.mark.django_db


def test_only_variants_that_run_on_published_cards_take_prompts() -> None:
    card = make_card()
    runs = make_variant(card, "runs")
    make_variant(card, "does-not", is_runnable=False)
    make_variant(make_card("hidden", is_published=False), "hidden")
    assert list(runnable_variants()) == [runs]


def test_the_default_is_the_first_variant_of_the_oldest_card() -> None:
    assert default_variant() is None
    oldest, newer = make_card("z-oldest"), make_card("a-newer")
    make_variant(newer, "first")
    make_variant(oldest, "second", position=2)
    first = make_variant(oldest, "first", position=1)
    assert default_variant() == first


def test_a_model_id_names_one_variant_and_without_it_the_first() -> None:
    card = make_card()
    second, first = make_variant(card, "b", position=2), make_variant(card, "a", position=1)
    assert get_variant_by_model_id("acme/tiny:b") == second
    assert get_variant_by_model_id("acme/tiny") == first
    assert second.model_id == "acme/tiny:b"


@pytest.mark.parametrize(
    "model_id",
    [
        "",
        "tiny",
        "acme/tiny:",
        "acme/tiny:c",
        "acme/tiny:b:b",
        "/tiny",
        "acme/ti ny",
        "a/" * 500,
        "acme/tiny\n",
        "\x00/a",
    ],
)
def test_other_ids_name_nothing(model_id: str) -> None:
    make_variant(make_card(), "b")
    assert get_variant_by_model_id(model_id) is None


def test_a_variant_of_an_unpublished_card_has_no_id_for_clients() -> None:
    make_variant(make_card(is_published=False), "b")
    assert get_variant_by_model_id("acme/tiny:b") is None
