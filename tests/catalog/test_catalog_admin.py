"""Maintainers write cards in the admin; history is read there and never changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import ModelCard, Variant
from portal.catalog.services import publish_revision
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant

pytestmark = pytest.mark.django_db


def form_of(card: ModelCard | None, **changes: str) -> dict[str, str]:
    form = {
        "owner_name": card.owner_name if card else "acme",
        "slug": card.slug if card else "new",
        "title": card.title if card else "New",
        "summary": "",
        "is_published": "on",
        "gate": "open",
        "text": card.current_revision.text if card and card.current_revision else "",
        "note": "",
        "based_on": str(card.current_revision.number) if card and card.current_revision else "0",
    }
    return form | changes


def change(card: ModelCard) -> str:
    return reverse("admin:catalog_modelcard_change", args=[card.pk])


def test_a_new_card_gets_its_first_revision(maintainer_client: Client, maintainer: User) -> None:
    response = maintainer_client.post(
        reverse("admin:catalog_modelcard_add"), form_of(None, text=CARD_TEXT.replace("\n", "\r\n"), note="First")
    )
    assert response.status_code == 302
    revision = ModelCard.objects.get(slug="new").current_revision
    assert revision is not None
    assert (revision.number, revision.author, revision.note, revision.text) == (1, maintainer, "First", CARD_TEXT)


def test_a_changed_text_makes_a_revision_and_other_changes_make_none(maintainer_client: Client) -> None:
    card = make_card()
    maintainer_client.post(change(card), form_of(card, title="Renamed"))
    card.refresh_from_db()
    assert (card.title, card.revisions.count()) == ("Renamed", 1)
    maintainer_client.post(change(card), form_of(card, text=CARD_TEXT + "More.\n", note="More"))
    card.refresh_from_db()
    assert card.current_revision is not None
    assert (card.current_revision.number, card.current_revision.note) == (2, "More")


def test_line_ends_that_the_card_had_stay(maintainer_client: Client) -> None:
    card = make_card(text=CARD_TEXT.replace("\n", "\r\n"))
    maintainer_client.post(change(card), form_of(card, title="Renamed"))
    assert card.revisions.count() == 1


@pytest.mark.parametrize(
    ("text", "message"), [("---\na: &x 1\n---\n", "Line 2: anchors"), ("", "A card that has a text cannot lose it")]
)
def test_a_bad_text_is_given_back_with_its_error(maintainer_client: Client, text: str, message: str) -> None:
    card = make_card()
    response = maintainer_client.post(change(card), form_of(card, text=text))
    assert response.status_code == 200
    assert message in response.content.decode()
    assert card.revisions.count() == 1


def test_two_maintainers_at_once_lose_nothing(maintainer_client: Client, bob: User) -> None:
    card = make_card()
    form = form_of(card, text=CARD_TEXT + "Mine.\n")
    publish_revision(card, CARD_TEXT + "Bob's.\n", bob)
    response = maintainer_client.post(change(card), form)
    html = response.content.decode()
    assert "Somebody else changed this card while you wrote: it is now at revision 2" in html
    assert "Mine." in html
    assert card.revisions.count() == 2


def test_names_that_addresses_cannot_hold_are_refused(maintainer_client: Client) -> None:
    for slug in ("a/b", "a b", "-a", "ü", "a" * 97, "a\n"):
        response = maintainer_client.post(reverse("admin:catalog_modelcard_add"), form_of(None, slug=slug))
        if slug.strip() == "a":
            continue  # the form strips it
        assert response.status_code == 200, slug
    assert not ModelCard.objects.exclude(slug="a").exists()


def test_history_is_read_only(maintainer_client: Client, superuser_client: Client) -> None:
    card = make_card()
    assert card.current_revision is not None
    address = reverse("admin:catalog_cardrevision_change", args=[card.current_revision.pk])
    for client in (maintainer_client, superuser_client):
        response = client.get(address)
        assert response.status_code == 200
        assert "Intro with *emphasis*." in response.content.decode()
        assert client.post(address, {"text": "x"}).status_code == 403
        assert (
            client.post(reverse("admin:catalog_cardrevision_delete", args=[card.current_revision.pk])).status_code
            == 403
        )
        assert client.get(reverse("admin:catalog_cardrevision_add")).status_code == 403


def variant_form(variant: Variant) -> dict[str, Any]:
    return {
        "card": variant.card_id,
        "slug": "bf16",
        "position": "3",
        "is_runnable": "on",
        "backend": "transformers",
        "source": "weights/tiny",
        "queue": "generations",
        "defaults": "{}",
    }


def test_facts_of_a_variant_cannot_be_typed_over(maintainer_client: Client) -> None:
    variant = make_variant(make_card())
    form = variant_form(variant) | {"facts": '{"parameters": 1}', "digests": '{"a": "b"}'}
    response = maintainer_client.post(reverse("admin:catalog_variant_change", args=[variant.pk]), form)
    assert response.status_code == 302
    variant.refresh_from_db()
    assert (variant.position, variant.facts, variant.digests) == (3, {"parameters": 135_000_000}, {})


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ('{"temperature": 99}', "temperature:"),
        ('{"heat": 1}', "heat"),
        ("[1]", "Must be a JSON object"),
        ("{", "valid JSON"),
    ],
)
def test_defaults_that_no_engine_takes_are_refused(maintainer_client: Client, defaults: str, message: str) -> None:
    variant = make_variant(make_card())
    address = reverse("admin:catalog_variant_change", args=[variant.pk])
    response = maintainer_client.post(address, variant_form(variant) | {"defaults": defaults})
    assert response.status_code == 200
    assert message in response.content.decode()
    variant.refresh_from_db()
    assert variant.defaults == {}


@pytest.mark.parametrize("name", ["modelcard", "cardrevision", "variant"])
def test_lists_are_there_for_maintainers_and_not_for_others(
    name: str, maintainer_client: Client, alice_client: Client, reviewer_client: Client
) -> None:
    make_variant(make_card())
    address = reverse(f"admin:catalog_{name}_changelist")
    assert maintainer_client.get(address).status_code == 200
    assert alice_client.get(address).status_code == 302
    assert reviewer_client.get(address).status_code == 403


def test_weights_are_offered_in_fewer_bits_by_who_may_change_variants(
    maintainer_client: Client, reviewer_client: Client
) -> None:
    variant = make_variant(make_card(), dtype="bfloat16", facts={"model_type": "llama"})
    other = make_variant(variant.card, slug="other", facts={"model_type": "gpt2"})
    address = reverse("admin:catalog_variant_changelist")
    form = {"action": "offer_in_fewer_bits", "_selected_action": [variant.pk, other.pk]}
    assert reviewer_client.post(address, form).status_code == 403
    page = maintainer_client.post(address, form, follow=True).content.decode()
    assert "Offered: acme/tiny:bf16-int4." in page
    assert "not supported for the architecture gpt2" in page
    offered = Variant.objects.filter(base=variant)
    assert [(each.slug, each.dtype) for each in offered] == [("bf16-int8", "int8"), ("bf16-int4", "int4")]
    assert (
        "Offered already: acme/tiny:bf16-int8." in maintainer_client.post(address, form, follow=True).content.decode()
    )
    assert Variant.objects.count() == 4
