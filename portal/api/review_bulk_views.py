"""`/api/v1/review/bulk/`: one verdict on many items, or taking them out of the queue; first what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_many_once, do_once
from portal.api.operation import operation
from portal.api.own_things import read_body
from portal.api.permissions import page_request
from portal.api.problems import FieldError, Problem, pointer
from portal.api.questionnaire_rows import StrictBooleanField, StrictChoiceField
from portal.api.review_rows import MAX_ITEM
from portal.api.review_views import DOING
from portal.api.row_answers import done_headers
from portal.api.serializers import StrictIntegerField, StrictSerializer, StrictTextField
from portal.reviews.access import require_operator, require_reviewer
from portal.reviews.services.abuse import Person
from portal.reviews.services.bulk import (
    MOST_ITEMS,
    Effect,
    check_many,
    judge_each,
    preview_quarantine,
    preview_verdict,
    quarantine,
)
from portal.reviews.services.verdicts import LABELS, MAX_NOTE_CHARACTERS, Judgement
from portal.reviews.settling import Reason, Verdict

_PREVIEW: Final = gettext_lazy("Only say what it would do.")
_MAX_PERSON_CHARACTERS: Final = 150


class ItemsField(serializers.ListField):
    """Numbers of items."""

    child = StrictIntegerField(min_value=1, max_value=MAX_ITEM)


class BulkVerdictSerializer(StrictSerializer):
    """One verdict on each of these items that you may judge."""

    items = ItemsField(min_length=1, max_length=MOST_ITEMS)
    verdict = StrictChoiceField(choices=Verdict.values)
    reason = StrictChoiceField(choices=Reason.values, required=False, help_text=gettext_lazy("Why it is rejected."))
    duplicate_of = StrictIntegerField(min_value=1, max_value=MAX_ITEM, required=False)
    labels = serializers.ListField(child=StrictChoiceField(choices=LABELS), required=False, max_length=len(LABELS))
    note = StrictTextField(allow_blank=True, max_length=MAX_NOTE_CHARACTERS, required=False)
    preview = StrictBooleanField(default=False, help_text=_PREVIEW)


class QuarantineSerializer(StrictSerializer):
    """These items, or the newest of one person's: one of the two."""

    items = ItemsField(min_length=1, max_length=MOST_ITEMS, required=False)
    person = StrictTextField(
        max_length=_MAX_PERSON_CHARACTERS,
        required=False,
        help_text=gettext_lazy("A user name, a visitor's id, or network: and a digest."),
    )
    release = StrictBooleanField(default=False, help_text=gettext_lazy("Let them back in instead."))
    preview = StrictBooleanField(default=False, help_text=_PREVIEW)


class ConsequenceSerializer(serializers.Serializer):  # type: ignore[type-arg]
    words = serializers.CharField(help_text=gettext_lazy("What becomes of these, or why they are left out."))
    items = serializers.ListField(child=serializers.IntegerField())


class EffectSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """What it does to which items."""

    is_preview = serializers.BooleanField()
    changed = serializers.IntegerField(help_text=gettext_lazy("How many items it touches."))
    consequences = ConsequenceSerializer(
        many=True,
        help_text=gettext_lazy(
            "None where the request repeats one that was carried out; of one that had broken off, those of the rest."
        ),
    )


_EFFECT: Final = OpenApiExample(
    "An effect",
    value={
        "is_preview": True,
        "changed": 2,
        "consequences": [
            {"words": "have one verdict more and wait for another reviewer", "items": [12, 14]},
            {"words": "are left out: your own", "items": [13]},
        ],
    },
    response_only=True,
)
_ANSWERS: Final[dict[Any, Any]] = {200: EffectSerializer, **schema.problems(404, 413, 415, 422)}


class BulkVerdicts(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_bulk_verdicts",
        summary="Give many items one verdict",
        description=(
            "Without a claim; what somebody is at, your own, and what you judged already is left out and told. "
            f"At most {MOST_ITEMS} items. For reviewers."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=BulkVerdictSerializer,
        responses=_ANSWERS,
        examples=[
            OpenApiExample(
                "What would become of them",
                value={"items": [12, 13, 14], "verdict": "spam", "preview": True},
                request_only=True,
            ),
            _EFFECT,
        ],
        tags=["review"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))
        given = read_body(request, BulkVerdictSerializer)
        numbers, is_preview = sorted(set(given.pop("items"))), given.pop("preview")
        judgement = Judgement(**{**given, "labels": tuple(given.get("labels", ()))})
        effect = Effect()

        def plan() -> Sequence[int]:
            check_many(reviewer, numbers, judgement)
            return numbers

        def preview() -> Done:
            effect.include(preview_verdict(reviewer, plan(), judgement))
            return Done(200, str(effect.done))

        def judge(part: Sequence[int]) -> int:
            return judge_each(reviewer, part, judgement, effect)

        actor = self.actor
        done = do_once(request, actor, preview) if is_preview else do_many_once(request, actor, plan, judge)
        return _answer(effect, done, is_preview=is_preview)


class BulkQuarantine(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_bulk_quarantine",
        summary="Take items out of the queue, or let them back in",
        description=(
            "With everything that they have; nothing is deleted. Of a person the newest that are not out yet (or that "
            f"are), {MOST_ITEMS} at a time. For operators."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=QuarantineSerializer,
        responses=_ANSWERS,
        examples=[
            OpenApiExample("Some items", value={"items": [12, 14]}, request_only=True),
            OpenApiExample("All of one person's", value={"person": "mallory", "preview": True}, request_only=True),
            _EFFECT,
        ],
        tags=["review"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        operator = require_operator(page_request(request))
        given = read_body(request, QuarantineSerializer)
        release, is_preview = given["release"], given["preview"]
        effect = Effect()

        def plan() -> Sequence[int]:
            return _chosen(given)

        def preview() -> Done:
            effect.include(preview_quarantine(plan(), release=release))
            return Done(200, str(effect.done))

        def take(part: Sequence[int]) -> int:
            effect.include(preview_quarantine(part, release=release))
            return quarantine(operator, part, release=release)

        actor = self.actor
        done = do_once(request, actor, preview) if is_preview else do_many_once(request, actor, plan, take)
        return _answer(effect, done, is_preview=is_preview)


def _chosen(given: dict[str, Any]) -> Sequence[int]:
    """Raises ValidationError for a person who is not there, and Problem."""
    named = [name for name in ("items", "person") if name in given]
    if len(named) != 1:
        sentence = _("Name either items or a person.")
        errors = tuple(FieldError(sentence, pointer=pointer(name)) for name in named or ("items", "person"))
        raise Problem("invalid-request", sentence, errors)
    if "items" in given:
        return sorted(set(given["items"]))
    return Person.named(given["person"]).items(are_out=given["release"])


def _answer(effect: Effect, done: Done, *, is_preview: bool) -> Response:
    body = {
        "is_preview": is_preview,
        "changed": int(done.made),
        "consequences": [{"words": words, "items": numbers} for words, numbers in effect.groups.items()],
    }
    return Response(body, headers={**done_headers(done), "Cache-Control": "no-store"})
