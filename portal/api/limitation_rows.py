"""Known limitations and their replays as the API tells and takes them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.api import schema
from portal.api.questionnaire_rows import StrictBooleanField, StrictChoiceField
from portal.api.row_answers import members_of
from portal.api.serializers import (
    MAX_VERSION,
    StrictIntegerField,
    StrictPatternField,
    StrictSerializer,
    StrictTextField,
    StrictUuidField,
)
from portal.exports.change_rows import limitation_row
from portal.exports.rows import iso_utc
from portal.reviews.models import Limitation, Replay
from portal.reviews.models.limitations import LimitationState, Rule, Severity
from portal.reviews.queries.limitations import ReplayedRun, replay_counts

MAX_REPORTS: Final = 500


class LimitationRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Something a model is known to do wrong, made of accepted reports."""

    id = serializers.UUIDField()
    version = serializers.IntegerField(min_value=1, help_text=_("Rises with every change."))
    card = serializers.CharField(help_text=_("owner/name"))
    title = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    severity = serializers.ChoiceField(choices=Severity.values)
    state = serializers.ChoiceField(choices=LimitationState.values)
    mitigated_in = serializers.CharField(allow_null=True, help_text=_("The variant: owner/name:variant."))
    reports = serializers.IntegerField(help_text=_("Accepted reports that it was made of."))
    me_too = serializers.IntegerField(help_text=_("How many saw it too."))
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    page = serializers.CharField()


class LimitationDetailSerializer(LimitationRowSerializer):
    """A limitation, and whether you said that you saw it too."""

    said_me_too = serializers.BooleanField()


class ReplayedRunSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.IntegerField()
    original = serializers.UUIDField(help_text=_("The run that showed it."))
    generation = serializers.UUIDField(allow_null=True, help_text=_("The run that asked again."))
    state = serializers.CharField(allow_null=True, help_text=_("Of the run that asked again."))
    problem = serializers.CharField(allow_blank=True, help_text=_("Why it could not be asked."))
    flipped = serializers.BooleanField(allow_null=True, help_text=_("Null while that is not known."))
    judged = serializers.BooleanField(allow_null=True, help_text=_("What a person said."))
    prompt = serializers.CharField(allow_blank=True)
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True, allow_null=True)


class ReplayRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The prompts of a limitation asked of another variant. `runs` are told to maintainers alone, as on the page."""

    id = serializers.UUIDField()
    limitation = serializers.UUIDField()
    model = serializers.CharField(help_text=_("owner/name:variant"))
    rule = serializers.ChoiceField(choices=Rule.values, help_text=_("By what an answer is said to have flipped."))
    phrase = serializers.CharField(allow_blank=True)
    asked = serializers.IntegerField()
    known = serializers.IntegerField(help_text=_("Of how many it is known whether they flipped."))
    flipped = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    runs = ReplayedRunSerializer(many=True, allow_null=True)


ROW_MEMBERS: Final = members_of(LimitationRowSerializer)
DETAIL_MEMBERS: Final = members_of(LimitationDetailSerializer)
REPLAY_MEMBERS: Final = members_of(ReplayRowSerializer)


class ChangeLimitationSerializer(StrictSerializer):
    """What is not named stays."""

    title = StrictTextField(max_length=160, required=False)
    description = StrictTextField(max_length=4_000, allow_blank=True, required=False)
    severity = StrictChoiceField(choices=Severity.values, required=False)
    state = StrictChoiceField(choices=LimitationState.values, required=False)
    mitigated_in = StrictPatternField(
        schema.MODEL_ID["pattern"],
        max_length=300,
        required=False,
        allow_null=True,
        help_text=_("A variant of its card."),
    )
    version = StrictIntegerField(
        min_value=1, max_value=MAX_VERSION, required=False, help_text=_("The version that you change.")
    )


class NewLimitationSerializer(StrictSerializer):
    card = StrictPatternField(schema.CARD_NAME["pattern"], max_length=200, help_text=_("owner/name"))
    reports = serializers.ListField(
        child=StrictUuidField(),
        min_length=1,
        max_length=MAX_REPORTS,
        help_text=_("Accepted submissions about the card that belong to no other limitation."),
    )
    title = StrictTextField(max_length=160)
    description = StrictTextField(max_length=4_000, allow_blank=True, required=False)
    severity = StrictChoiceField(choices=Severity.values, required=False)


class NewReplaySerializer(StrictSerializer):
    model = StrictPatternField(schema.MODEL_ID["pattern"], max_length=300, help_text=_("A variant that runs here."))
    rule = StrictChoiceField(choices=Rule.values)
    phrase = StrictTextField(max_length=200, allow_blank=True, required=False)


class JudgeRunSerializer(StrictSerializer):
    flipped = StrictBooleanField(allow_null=True, help_text=_("Null takes your word back."))


EXAMPLE: Final = {
    "id": "3d0c5b8e-46a7-4d63-9b63-5f9a2f1f7a10",
    "version": 2,
    "card": "owner/name",
    "title": "Takes a steelyard for a ship",
    "description": "Asked what a steelyard is, it describes a ship.",
    "severity": "medium",
    "state": "confirmed",
    "mitigated_in": None,
    "reports": 3,
    "me_too": 5,
    "created_at": "2026-05-01T12:00:00.000000Z",
    "changed_at": "2026-05-02T12:00:00.000000Z",
    "page": "/limitations/3d0c5b8e-46a7-4d63-9b63-5f9a2f1f7a10/",
}
EXAMPLE_DETAIL: Final = {**EXAMPLE, "said_me_too": False}
EXAMPLE_REPLAY: Final = {
    "id": "a1c7a7a2-2c8b-4f0a-9b77-6f4c2a4be111",
    "limitation": EXAMPLE["id"],
    "model": "owner/name:int8",
    "rule": "phrase",
    "phrase": "ship",
    "asked": 3,
    "known": 3,
    "flipped": 2,
    "created_at": "2026-05-03T12:00:00.000000Z",
    "runs": None,
}


def seconded_row(limitation: Limitation) -> dict[str, Any]:
    """A limitation out of `counted_limitations`, with how many saw it too, and its page."""
    return {
        **limitation_row(limitation),
        "me_too": limitation.me_too_count,  # type: ignore[attr-defined]
        "page": limitation.get_absolute_url(),
    }


def replay_row(replay: Replay, runs: list[ReplayedRun], *, with_runs: bool) -> dict[str, Any]:
    """A replay with how many of its answers flipped; `with_runs` which ones, in full."""
    counts = replay_counts(runs)
    return {
        "id": str(replay.pk),
        "limitation": str(replay.limitation_id),
        "model": replay.variant.model_id,
        "rule": replay.rule,
        "phrase": replay.phrase,
        "asked": counts["all"],
        "known": counts["known"],
        "flipped": counts["flipped"],
        "created_at": iso_utc(replay.created_at),
        "runs": [_run_row(run) for run in runs] if with_runs else None,
    }


def _run_row(run: ReplayedRun) -> dict[str, Any]:
    row, again = run.row, run.row.generation
    return {
        "id": row.pk,
        "original": str(row.original_id),
        "generation": str(again.pk) if again is not None else None,
        "state": again.state if again is not None else None,
        "problem": row.problem,
        "flipped": run.flipped,
        "judged": row.judged,
        "prompt": row.original.prompt,
        "before": row.original.output,
        "after": again.output if again is not None else None,
    }
