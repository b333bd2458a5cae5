"""`/api/v1/cards/` and `/api/v1/variants/`: what is published, for anybody with a token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPMethod
from typing import Final

from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.catalog_rows import (
    CARD_DETAIL_MEMBERS,
    CARD_MEMBERS,
    EXAMPLE_CARD,
    EXAMPLE_VARIANT,
    VARIANT_MEMBERS,
    CardDetailSerializer,
    CardSerializer,
    VariantSerializer,
    card_detail,
    card_row,
    variant_row,
)
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.row_answers import list_answer, page_of, part_of, row_answer
from portal.catalog.access import get_card, open_cards
from portal.catalog.card_search import MAX_VALUE_CHARACTERS, CardSearch, CardSearchResult
from portal.catalog.models import Facet, Gate, ModelCard
from portal.catalog.queries import published_variants
from portal.exports.criteria import InvalidCriterion

READING: Final[Mapping[str, tuple[Scope, ...]]] = {
    HTTPMethod.GET: (Scope.READ, Scope.SUBMIT, Scope.EXPORT),
    HTTPMethod.HEAD: (Scope.READ, Scope.SUBMIT, Scope.EXPORT),
}
FACETS: Final = (Facet.LICENSE, Facet.LANGUAGE, Facet.TASK, Facet.GATE)
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": MAX_VALUE_CHARACTERS}
_CARD_NAME: Final = re.compile(f"{schema.NAME}/{schema.NAME}")
_NAME_PART: Final = {"type": "string", "pattern": f"^{schema.NAME}$"}
CARD_PATH: Final = [
    schema.in_path("owner_name", _NAME_PART, gettext_lazy("The card's owner.")),
    schema.in_path("slug", _NAME_PART, gettext_lazy("The card's name.")),
]


class CardList(ApiView):
    scopes = READING

    @operation(
        operation_id="cards_list",
        summary="Model cards",
        description="All published cards in the order in which they were added; the text is with the single card.",
        parameters=[
            schema.query("license", _TEXT, gettext_lazy("Only under this licence.")),
            schema.query("language", _TEXT, gettext_lazy("Only of this language.")),
            schema.query("task", _TEXT, gettext_lazy("Only for this task.")),
            schema.query("gate", {"type": "string", "enum": list(Gate.values)}, gettext_lazy("Only behind this gate.")),
            schema.query("runnable", {"type": "string", "enum": ["1"]}, gettext_lazy("Only what runs here.")),
            schema.fields_parameter(CARD_MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(CardSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_CARD], "next": None}, response_only=True)],
        tags=["catalog"],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        facets = {facet.value: asked[facet.value] for facet in FACETS if facet.value in asked}
        search = CardSearch(facets=facets, runnable="runnable" in asked)
        cards, following = read_page(request, CardSearchResult(search, include_unpublished=False).listed())
        open_to = open_cards(self.actor.user, cards)
        return list_answer(request, [card_row(card, open_to) for card in cards], following, CARD_MEMBERS)


class CardDetail(ApiView):
    scopes = READING

    @operation(
        operation_id="cards_retrieve",
        summary="One model card with its text",
        parameters=[*CARD_PATH, schema.fields_parameter(CARD_DETAIL_MEMBERS)],
        responses={200: part_of(CardDetailSerializer), **schema.problems(404)},
        examples=[
            OpenApiExample(
                "A card",
                value={
                    **EXAMPLE_CARD,
                    "metadata": {"license": "apache-2.0"},
                    "text": "---\nlicense: apache-2.0\n---\n# Name",
                },
                response_only=True,
            )
        ],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str) -> HttpResponse:
        assert self.actor.user is not None
        if not _is_name(owner_name, slug):
            raise Http404
        card = get_card(self.actor.user, owner_name, slug)
        if not card.is_published:
            raise Http404
        return row_answer(request, card_detail(card, open_cards(self.actor.user, [card])), CARD_DETAIL_MEMBERS)


class VariantList(ApiView):
    scopes = READING

    @operation(
        operation_id="variants_list",
        summary="Variants with their facts",
        description="The variants of all published cards, in the order in which they were added.",
        parameters=[
            schema.query("card", schema.CARD_NAME, gettext_lazy("Only of this card: owner/name.")),
            schema.query("runnable", {"type": "string", "enum": ["1"]}, gettext_lazy("Only what runs here.")),
            schema.fields_parameter(VARIANT_MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(VariantSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_VARIANT], "next": None}, response_only=True)],
        tags=["catalog"],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        variants = published_variants()
        if "runnable" in asked:
            variants = variants.filter(is_runnable=True)
        if "card" in asked:
            variants = variants.filter(card=named_card(asked["card"]))
        found, following = read_page(request, variants)
        open_to = open_cards(self.actor.user, [variant.card for variant in found])
        return list_answer(request, [variant_row(variant, open_to) for variant in found], following, VARIANT_MEMBERS)


def published_card(owner_name: str, slug: str) -> ModelCard:
    """A card that everybody sees, with its current text. Raises Http404."""
    cards = ModelCard.objects.select_related("current_revision").filter(is_published=True)
    card = cards.filter(owner_name=owner_name, slug=slug).first() if _is_name(owner_name, slug) else None
    if card is None:
        raise Http404
    return card


def _is_name(owner_name: str, slug: str) -> bool:
    return _CARD_NAME.fullmatch(f"{owner_name}/{slug}") is not None


def named_card(name: str) -> ModelCard:
    """A published card by its name. Raises InvalidCriterion."""
    owner_name, slug = name.split("/")
    card = ModelCard.objects.filter(owner_name=owner_name, slug=slug, is_published=True).first()
    if card is None:
        raise InvalidCriterion("card", _("There is no card %s here.") % name)
    return card
