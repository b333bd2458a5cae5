"""`/api/v1/cards/…/facts/`: everything that is known of a card's weights, variant by variant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.catalog_rows import EXAMPLE_VARIANT, VariantSerializer, variant_row
from portal.api.catalog_views import CARD_PATH, READING, published_card
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.row_answers import list_answer, members_of, page_of
from portal.catalog.access import open_cards
from portal.catalog.disagreements import disagreements
from portal.catalog.queries import published_variants
from portal.catalog.variant_facts import all_facts


class FactSerializer(serializers.Serializer):  # type: ignore[type-arg]
    # Named as the sheet names it, although a serializer has a label of its own; this one only describes.
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField()


class DisagreementSerializer(serializers.Serializer):  # type: ignore[type-arg]
    subject = serializers.CharField()
    card = serializers.CharField(help_text=_("What the card says."))
    weights = serializers.CharField(help_text=_("What the weights say."))


class VariantFactsSerializer(VariantSerializer):
    """A variant with its specification sheet, and where the card says something else."""

    sheet = FactSerializer(many=True, help_text=_("The facts in words and with units, as the page shows them."))
    disagreements = DisagreementSerializer(many=True)


MEMBERS: Final = members_of(VariantFactsSerializer)
_EXAMPLE: Final[dict[str, Any]] = {
    **EXAMPLE_VARIANT,
    "sheet": [{"label": "Parameters", "value": "134,515,008"}],
    "disagreements": [{"subject": "Context length, by the card's text", "card": "context of 2k", "weights": "8,192"}],
}


class CardFacts(ApiView):
    scopes = READING

    @operation(
        operation_id="card_facts_list",
        summary="A card's facts, per variant and in full",
        description=(
            "The card's variants in the order in which they were added: the facts read from the weights as numbers and "
            "in words, and where the card says something else."
        ),
        parameters=[*CARD_PATH, schema.fields_parameter(MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(VariantFactsSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str) -> Response:
        card = published_card(owner_name, slug)
        found, following = read_page(request, published_variants().filter(card=card))
        open_to = open_cards(self.actor.user, [card])
        rows = [
            {
                **variant_row(variant, open_to),
                "sheet": [asdict(fact) for fact in all_facts(variant)],
                "disagreements": [asdict(each) for each in disagreements(card, variant)],
            }
            for variant in found
        ]
        return list_answer(request, rows, following, MEMBERS)
