"""Finding cards: words anywhere in them, filters with counts, an order; on both databases the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.catalog.card_search import CardSearch, CardSearchResult
from portal.catalog.models import CardFacet, ModelCard, SizeClass, Variant
from portal.catalog.queries import visible_cards
from portal.catalog.receivers import make_search_table
from portal.catalog.search_index import find_cards, index_words, words_of
from portal.catalog.services import publish_revision
from tests.catalog.shelf import make_card, make_variant
from tests.catalog.test_card_pages_view import page

pytestmark = pytest.mark.django_db


def card(slug: str, *, text: str = "# Nothing\n", **fields: Any) -> ModelCard:
    return make_card(slug, text=text, **({"title": slug, "summary": ""} | fields))


def front(**fields: str) -> str:
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in fields.items()) + "---\nText.\n"


def found(**query: str) -> list[str]:
    result = CardSearchResult(CardSearch.from_query(query), include_unpublished=False)
    return [each["slug"] for each in result.cards()[:100]]


def counts(kind: str, **query: str) -> dict[str, int]:
    result = CardSearchResult(CardSearch.from_query(query), include_unpublished=False)
    (chosen,) = [each for each in result.filters() if each.kind == kind]
    return {choice.value: choice.count for choice in chosen.choices}


@pytest.mark.parametrize("name", ["1.0", "2024", "true", "null", '{"a": 1}', "Own licence"])
def test_a_licences_name_is_shown_as_it_stands_whatever_it_looks_like(client: Client, name: str) -> None:
    card("a", text=f"---\nlicense: other\nlicense_name: {json.dumps(name)}\n---\n")
    assert f'<span class="badge">{escape(name)}</span>' in client.get("/").content.decode()


def test_every_word_must_begin_a_word_of_the_card() -> None:
    card("tiny", summary="Writes poems", text=front(tags="[poetry-slam]") + "Trained on sonnets by Ångström.\n")
    card("big", summary="Writes code")
    assert found(q="WRITES tiny") == ["tiny"]
    assert sorted(found(q="acme/")) == ["big", "tiny"]
    assert found(q="slam") == ["tiny"]
    assert found(q="sonn") == ["tiny"]
    assert found(q="angstrom") == ["tiny"]
    assert found(q="writes prose") == []
    assert found(q="onnets") == []


def test_a_name_is_found_by_the_words_that_it_is_made_of() -> None:
    card("TinyLlama-1.1B")
    card("WizardLM")
    card("tinyllama-lower")
    assert found(q="llama") == ["TinyLlama-1.1B"]
    assert found(q="lm") == ["WizardLM"]
    assert sorted(found(q="tinyll")) == ["TinyLlama-1.1B", "tinyllama-lower"]


def test_a_word_in_the_name_comes_before_one_in_the_text() -> None:
    card("other", text="# Long\n\nOnce it says falcon.\n")
    card("falcon-7b")
    card("third", text=front(tags="[falcon]"))
    assert found(q="falcon") == ["falcon-7b", "third", "other"]


@pytest.mark.parametrize(
    "text", ["100%", "_", '"', "'; DROP TABLE x", "a AND", "NOT", "*", "(", "a:*", "&|!", "\x00", "-", "{names}:a"]
)
def test_a_search_is_words_and_never_syntax(text: str) -> None:
    card("tiny")
    assert found(q=text) in ([], ["tiny"])


def test_what_has_no_word_finds_nothing() -> None:
    card("tiny")
    assert found(q="_ %") == []
    assert found(q="") == ["tiny"]


def test_the_index_follows_the_card(maintainer: Any) -> None:
    tiny = card("tiny", text="# First\n\nwalrus\n")
    assert found(q="walrus") == ["tiny"]
    publish_revision(tiny, "# Second\n\nseal\n", maintainer)
    assert (found(q="walrus"), found(q="seal")) == ([], ["tiny"])
    tiny.title = "Renamed"
    tiny.save()
    assert found(q="renamed seal") == ["tiny"]
    tiny.is_published = False
    tiny.save()
    assert found(q="seal") == []
    number = tiny.pk
    CardFacet.objects.filter(card=tiny).delete()
    ModelCard.objects.filter(pk=tiny.pk).update(current_revision=None)
    tiny.revisions.all().delete()
    tiny.delete()
    assert number not in find_cards("default", "seal")


def test_cards_of_an_installation_without_the_index_are_put_into_it() -> None:
    tiny = card("tiny")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE catalog_card_search")
    make_search_table(None, "default")
    assert found(q="tiny") == ["tiny"]
    index_words("default", tiny.pk, None)
    make_search_table(None, "default")
    assert found(q="tiny") == []


def test_filters_narrow_and_count_what_choosing_would_show() -> None:
    card("a", text=front(license="mit", language="[en, de]", pipeline_tag="text-generation"))
    card("b", text=front(license="apache-2.0", language="en", pipeline_tag="text-generation"))
    card("c", text=front(license="mit", language="de"))
    card("hidden", text=front(license="mit"), is_published=False)
    assert found(license="mit") == ["c", "a"]
    assert found(license="mit", language="en") == ["a"]
    assert found(language="en", task="text-generation", sort="title") == ["a", "b"]
    assert found(license="nonsense") == []
    assert counts("license") == {"mit": 2, "apache-2.0": 1}
    assert counts("license", license="mit", language="en") == {"mit": 1, "apache-2.0": 1}
    assert counts("language", license="mit") == {"de": 2, "en": 1}
    assert counts("license", license="gone") == {"mit": 2, "apache-2.0": 1, "gone": 0}
    assert counts("task", q="nothing") == {}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"license": "mit"},
        {"license": "mit", "language": "de"},
        {"license": "mit", "language": "de", "task": "text-generation"},
        {"language": "en", "gate": "open", "runnable": "1"},
        {"q": "walrus", "language": "fr", "license": "gone"},
    ],
)
def test_each_count_is_what_choosing_that_value_shows(query: dict[str, str]) -> None:
    licenses, languages = ("mit", "apache-2.0", "llama3"), ("en", "[en, de]", "[de, fr]", "fr")
    for number in range(12):
        told = {"license": licenses[number % 3], "language": languages[number % 4]}
        if number % 2:
            told["pipeline_tag"] = "text-generation"
        made = card(f"{'walrus' if number % 5 else 'seal'}-{number}", text=front(**told), is_published=number != 7)
        make_variant(made, is_runnable=number % 3 == 0)
    filters = CardSearchResult(CardSearch.from_query(query), include_unpublished=False).filters()
    assert sum(len(each.choices) for each in filters) > 3
    for each in filters:
        for choice in each.choices:
            assert choice.count == len(found(**query | {each.kind: choice.value})), (each.kind, choice.value)


def test_sizes_and_what_runs_follow_the_variants() -> None:
    small, large = card("small"), card("large")
    make_variant(small, facts={"parameters": 135_000_000})
    variant = make_variant(large, facts={"parameters": 7_000_000_000}, is_runnable=False)
    assert counts("size") == {"0": 1, "3": 1}
    assert (found(size="3"), found(runnable="1")) == (["large"], ["small"])
    Variant.objects.get(pk=variant.pk).delete()
    assert counts("size") == {"0": 1}
    make_variant(large, facts={"parameters": None})
    assert counts("size") == {"0": 1}


@pytest.mark.parametrize(
    ("parameters", "size"), [(0, "0"), (999_999_999, "0"), (10**9, "1"), (39 * 10**9, "10"), (10**12, "40")]
)
def test_size_classes_have_no_gaps(parameters: int, size: str) -> None:
    assert SizeClass.of(parameters).value == size


def test_the_order_is_the_one_asked_for() -> None:
    for slug, title in (("one", "B"), ("two", "A"), ("three", "C")):
        card(slug, title=title)
    ModelCard.objects.get(slug="one").save()
    assert found(sort="title") == ["two", "one", "three"]
    assert found(sort="changed") == ["one", "three", "two"]
    assert found(sort="created") == ["three", "two", "one"]
    assert found(sort="nonsense") == ["one", "three", "two"]


def test_a_search_is_an_address_that_shows_itself_again(client: Client) -> None:
    for number in range(30):
        card(f"walrus-{number}", text=front(license="mit", language="de"))
    html = page(client, "/?q=walrus&license=mit&language=de&runnable=&sort=title")
    assert "30 cards for “walrus”" in html
    assert '<option value="mit" selected>mit (30)</option>' in html
    assert '<option value="de" selected>German (30)</option>' in html
    assert '<option value="title" selected>Title</option>' in html
    assert "q=walrus&amp;license=mit&amp;language=de&amp;runnable=&amp;sort=title&amp;page=2" in html


def test_a_full_shelf_takes_the_same_queries_as_a_small_one(client: Client) -> None:
    address = "/?q=walrus&license=mit&language=de&sort=match"
    for number in range(5):
        make_variant(card(f"walrus-{number}", text=front(license="mit", language="de")))
    with CaptureQueriesContext(connection) as few:
        page(client, address)
    for number in range(5, 45):
        make_variant(card(f"walrus-{number}", text=front(license="mit", language="de")))
    with CaptureQueriesContext(connection) as many:
        page(client, address)
    assert len(many) == len(few) <= 5


def test_unpublished_cards_are_listed_only_when_asked_for() -> None:
    card("hidden", is_published=False)
    assert not visible_cards()
    assert visible_cards(include_unpublished=True).count() == 1


@pytest.mark.parametrize(
    "query",
    ["license=%00", "size=99", "language=" + "x" * 5000, "runnable=yes", "sort=%27", "q=" + "a%20" * 500, "task=&q="],
)
def test_odd_filters_are_answered(client: Client, query: str) -> None:
    card("tiny")
    page(client, f"/?{query}")


class AnyText(TestCase):
    @given(st.text(max_size=60))
    def test_whatever_is_typed_is_answered(self, text: str) -> None:
        find_cards("default", text)
        index_words("default", 1, None)

    @given(st.text(max_size=60))
    def test_folding_twice_changes_nothing(self, text: str) -> None:
        folded = words_of(text)
        assert words_of(" ".join(folded)) == folded
