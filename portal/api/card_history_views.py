"""`/api/v1/cards/…/revisions/`: every text that a card had, byte for byte, and what changed between any two."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.catalog_views import CARD_PATH, READING, published_card
from portal.api.negotiation import MarkdownRenderer
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.row_answers import list_answer, members_of, page_of, part_of, row_answer
from portal.api.serializers import ObjectField
from portal.catalog.models import CardRevision, ModelCard
from portal.catalog.queries import card_revisions
from portal.catalog.raw_text import raw_text_response
from portal.catalog.text_comparison import compare_cards
from portal.exports.rows import iso_utc

MAX_NUMBER: Final = 2**31 - 1
_NUMBER: Final = {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER}
_PATH: Final = [*CARD_PATH, schema.in_path("number", _NUMBER, gettext_lazy("The revision's number."))]
_TEXT: Final = "---\nlicense: apache-2.0\n---\n# Name"
_EXAMPLE: Final = {
    "number": 3,
    "author": "maria",
    "note": "Training data named.",
    "sha256": "9f2b4c…",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "is_current": True,
    "page": "/models/owner/name/revisions/3/",
}


class RevisionRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One text that a card had. It never changes."""

    number = serializers.IntegerField(min_value=1)
    author = serializers.CharField(allow_null=True, help_text=gettext_lazy("Null when the account is gone."))
    note = serializers.CharField(allow_blank=True, help_text=gettext_lazy("What changed, in the author's words."))
    sha256 = serializers.CharField(help_text=gettext_lazy("Of the text's UTF-8 bytes."))
    created_at = serializers.DateTimeField()
    is_current = serializers.BooleanField(help_text=gettext_lazy("Whether readers see it now."))
    page = serializers.CharField()


class RevisionDetailSerializer(RevisionRowSerializer):
    """A text with its metadata."""

    metadata = ObjectField(help_text=gettext_lazy("The YAML at its head."))
    text = serializers.CharField(allow_blank=True, help_text=gettext_lazy("The whole, with its YAML."))


class SegmentSerializer(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.ChoiceField(choices=["same", "added", "removed", "gap"])
    text = serializers.CharField(allow_blank=True)
    lines = serializers.IntegerField(help_text=gettext_lazy("Of a gap: how many equal lines are left out."))


class FieldChangeSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    old = serializers.CharField(allow_blank=True, help_text=gettext_lazy("As YAML; empty where it was added."))
    new = serializers.CharField(allow_blank=True, help_text=gettext_lazy("As YAML; empty where it was removed."))
    segments = SegmentSerializer(many=True, help_text=gettext_lazy("Of values of many lines: what changed inside."))


class CardComparisonSerializer(serializers.Serializer):  # type: ignore[type-arg]
    fields_changed = FieldChangeSerializer(many=True, help_text=gettext_lazy("Of the metadata."))
    text = SegmentSerializer(many=True, help_text=gettext_lazy("Words of the text."))


ROW_MEMBERS: Final = members_of(RevisionRowSerializer)
DETAIL_MEMBERS: Final = members_of(RevisionDetailSerializer)


class RevisionList(ApiView):
    scopes = READING

    @operation(
        operation_id="card_revisions_list",
        summary="A card's history",
        description="Every text that the card had, oldest first.",
        parameters=[*CARD_PATH, schema.fields_parameter(ROW_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(RevisionRowSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str) -> Response:
        card = published_card(owner_name, slug)
        found, following = read_page(request, card_revisions(card))
        return list_answer(request, [revision_row(card, each) for each in found], following, ROW_MEMBERS)


class RevisionDetail(ApiView):
    scopes = READING

    @operation(
        operation_id="card_revisions_retrieve",
        summary="One text that a card had",
        parameters=[*_PATH, schema.fields_parameter(DETAIL_MEMBERS)],
        responses={200: part_of(RevisionDetailSerializer), **schema.problems(404)},
        examples=[
            OpenApiExample(
                "A revision",
                value={
                    **_EXAMPLE,
                    "metadata": {"license": "apache-2.0"},
                    "text": "---\nlicense: apache-2.0\n---\n# Name",
                },
                response_only=True,
            )
        ],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str, number: int) -> HttpResponseBase:
        card = published_card(owner_name, slug)
        revision = get_revision(card, number)
        row = {**revision_row(card, revision), "metadata": revision.metadata, "text": revision.text}
        return row_answer(request, row, DETAIL_MEMBERS, version=revision.number)


class RevisionReadme(ApiView):
    scopes = READING
    renderer_classes = [MarkdownRenderer]

    @operation(
        operation_id="card_revisions_readme",
        summary="One text that a card had, byte for byte",
        description="What the author published, as model hubs keep it in README.md.",
        parameters=[*_PATH, schema.IF_NONE_MATCH],
        responses={
            (200, MarkdownRenderer.media_type): {"type": "string"},
            **schema.NOT_MODIFIED,
            **schema.problems(404),
        },
        examples=[
            OpenApiExample(
                "README.md",
                value=_TEXT,
                response_only=True,
                media_type=MarkdownRenderer.media_type,
            )
        ],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str, number: int) -> HttpResponseBase:
        revision = get_revision(published_card(owner_name, slug), number)
        return raw_text_response(request._request, revision)  # noqa: SLF001


class CardComparison(ApiView):
    scopes = READING

    @operation(
        operation_id="card_revisions_compare",
        summary="What changed between two texts of a card",
        description="Fields of the metadata, and words of the text, as the page shows them.",
        parameters=[
            *CARD_PATH,
            schema.query("from", _NUMBER, gettext_lazy("The number of the earlier one."), required=True),
            schema.query("to", _NUMBER, gettext_lazy("The number of the later one."), required=True),
        ],
        responses={200: CardComparisonSerializer, **schema.problems(404)},
        examples=[
            OpenApiExample(
                "A comparison",
                value={
                    "fields_changed": [{"name": "license", "old": "mit", "new": "apache-2.0", "segments": []}],
                    "text": [
                        {"kind": "same", "text": "A ", "lines": 0},
                        {"kind": "removed", "text": "tiny", "lines": 0},
                        {"kind": "added", "text": "small", "lines": 0},
                        {"kind": "same", "text": " model.\n", "lines": 0},
                    ],
                },
                response_only=True,
            )
        ],
        tags=["catalog"],
    )
    def get(self, request: Request, owner_name: str, slug: str) -> Response:
        card = published_card(owner_name, slug)
        old, new = (get_revision(card, int(request.query_params[side])) for side in ("from", "to"))
        compared = compare_cards(old.text, new.text)
        fields = [
            {
                "name": change.name,
                "old": change.old,
                "new": change.new,
                "segments": [asdict(segment) for segment in change.segments],
            }
            for change in compared.fields
        ]
        return Response({"fields_changed": fields, "text": [asdict(segment) for segment in compared.segments]})


def revision_row(card: ModelCard, revision: CardRevision) -> dict[str, Any]:
    """A revision without its text."""
    return {
        "number": revision.number,
        "author": revision.author.username if revision.author is not None else None,
        "note": revision.note,
        "sha256": revision.sha256,
        "created_at": iso_utc(revision.created_at),
        "is_current": revision.pk == card.current_revision_id,
        "page": f"{card.get_absolute_url()}revisions/{revision.number}/",
    }


def get_revision(card: ModelCard, number: int) -> CardRevision:
    """Raises Http404."""
    revision = card.revisions.select_related("author").filter(number=number).first() if number <= MAX_NUMBER else None
    if revision is None:
        raise Http404
    return revision
