"""Review items and verdicts as the API tells them to one reviewer, and the form of that in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.accounts.models import User
from portal.api.questionnaire_rows import StrictChoiceField, StrictObjectField
from portal.api.row_answers import members_of
from portal.api.serializers import ObjectField, StrictIntegerField, StrictSerializer, StrictTextField
from portal.exports.rows import iso_utc
from portal.playground.models import Generation
from portal.reviews.forms import MAX_ACTIVE_S
from portal.reviews.models import Review, ReviewItem
from portal.reviews.models.queue import EnteredBy, Sign
from portal.reviews.models.verdicts import Superseded
from portal.reviews.queries.entry import said
from portal.reviews.queries.filters import ABOUT
from portal.reviews.queries.item_page import ItemPage
from portal.reviews.queries.vote_sides import Side
from portal.reviews.services.verdicts import LABELS
from portal.reviews.settling import ItemState, Kind, Reason, Verdict

MAX_ITEM: Final = 2**31 - 1


class ItemRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One submission or vote under review. Outcome and reason are empty until it is decided."""

    id = serializers.IntegerField(min_value=1)
    submission = serializers.UUIDField(allow_null=True, help_text=_("Null where it is a vote."))
    vote = serializers.UUIDField(allow_null=True)
    submission_version = serializers.IntegerField(min_value=1, help_text=_("Of the submission or the vote."))
    about = serializers.ChoiceField(choices=list(ABOUT), help_text=_("What was judged; of a vote, its kind."))
    card = serializers.CharField(allow_null=True, help_text=_("owner/name"))
    model = serializers.CharField(allow_null=True, help_text=_("owner/name:variant"))
    campaign = serializers.CharField(allow_null=True)
    questionnaire = serializers.CharField()
    language = serializers.CharField(allow_blank=True)
    entered_by = serializers.ChoiceField(choices=EnteredBy.values, help_text=_("Which rule put it here."))
    entered_at = serializers.DateTimeField()
    priority = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ItemState.values)
    outcome = serializers.ChoiceField(choices=Verdict.values, allow_blank=True)
    reason = serializers.ChoiceField(choices=Reason.values, allow_blank=True)
    duplicate_of = serializers.IntegerField(allow_null=True)
    verdict_count = serializers.IntegerField()
    needed = serializers.IntegerField(help_text=_("How many independent verdicts decide it."))
    needs_maintainer = serializers.BooleanField()
    decided_at = serializers.DateTimeField(allow_null=True)
    signs = serializers.ListField(child=serializers.ChoiceField(choices=Sign.values))
    is_claimed = serializers.BooleanField(help_text=_("Whether somebody holds it now."))
    is_withdrawn = serializers.BooleanField()
    answers = ObjectField(help_text=_("What was said: question key → value; of a vote, outcome and reasons."))


class ClaimSerializer(serializers.Serializer):  # type: ignore[type-arg]
    number = serializers.IntegerField(help_text=_("What the verdict names as claim."))
    expires_at = serializers.DateTimeField()


class RunSerializer(serializers.Serializer):  # type: ignore[type-arg]
    generation = serializers.UUIDField()
    model = serializers.CharField()
    prompt = serializers.CharField(allow_blank=True)
    output = serializers.CharField(allow_blank=True)
    thinking = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    params = ObjectField()
    provenance = ObjectField()


class SideSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One of the two conversations that a vote compared."""

    letter = serializers.ChoiceField(choices=["A", "B"])
    is_preferred = serializers.BooleanField()
    model = serializers.CharField(allow_null=True, help_text=_("Null until you have judged, or nobody has to."))
    turns = serializers.ListField(child=ObjectField(), help_text=_("prompt, output and thinking of each."))


class VerdictRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.IntegerField()
    item = serializers.IntegerField()
    reviewer = serializers.CharField(allow_null=True, help_text=_("Null when the account is gone."))
    kind = serializers.ChoiceField(choices=Kind.values)
    verdict = serializers.ChoiceField(choices=Verdict.values)
    reason = serializers.ChoiceField(choices=Reason.values, allow_blank=True)
    duplicate_of = serializers.IntegerField(allow_null=True)
    labels = serializers.ListField(child=serializers.CharField())
    answers = ObjectField()
    note = serializers.CharField(allow_blank=True)
    submission_version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    superseded_at = serializers.DateTimeField(allow_null=True, help_text=_("Since when it counts no longer."))
    superseded_by = serializers.ChoiceField(choices=Superseded.values, allow_blank=True)


class InquirySerializer(serializers.Serializer):  # type: ignore[type-arg]
    question = serializers.CharField()
    answer = serializers.CharField(allow_blank=True)


class SimilarSerializer(serializers.Serializer):  # type: ignore[type-arg]
    item = serializers.IntegerField()
    percent = serializers.IntegerField(allow_null=True, help_text=_("How alike; null: about the same variant."))


class ItemDetailSerializer(ItemRowSerializer):
    """An item as one reviewer may see it: until all have spoken, nobody's verdicts but their own."""

    claim = ClaimSerializer(allow_null=True, help_text=_("Yours, while you hold it."))
    is_blind = serializers.BooleanField(help_text=_("Whether others' verdicts are kept from you."))
    is_own = serializers.BooleanField()
    consent = serializers.CharField(allow_null=True)
    licence = serializers.CharField(allow_null=True, allow_blank=True)
    runs = RunSerializer(many=True, help_text=_("The answers that were judged."))
    sides = SideSerializer(many=True, help_text=_("Of a vote: what it compared."))
    verdicts = VerdictRowSerializer(many=True)
    inquiries = InquirySerializer(many=True)
    similar = SimilarSerializer(many=True)


ROW_MEMBERS: Final = members_of(ItemRowSerializer)
DETAIL_MEMBERS: Final = members_of(ItemDetailSerializer)


class GiveVerdictSerializer(StrictSerializer):
    """A verdict on an item that you hold."""

    claim = StrictIntegerField(min_value=1, max_value=MAX_ITEM, help_text=_("The number of your claim."))
    verdict = StrictChoiceField(choices=Verdict.values)
    reason = StrictChoiceField(choices=Reason.values, required=False, help_text=_("Why it is rejected."))
    duplicate_of = StrictIntegerField(
        min_value=1, max_value=MAX_ITEM, required=False, help_text=_("The item that it repeats.")
    )
    labels = serializers.ListField(
        child=StrictChoiceField(choices=LABELS), required=False, max_length=len(LABELS), allow_empty=True
    )
    answers = StrictObjectField(required=False, help_text=_("Your own answers to the questionnaire."))
    note = StrictTextField(allow_blank=True, max_length=2_000, required=False, help_text=_("Or the question."))
    active_s = StrictIntegerField(
        min_value=0, max_value=MAX_ACTIVE_S, required=False, help_text=_("Seconds that you worked at it.")
    )


EXAMPLE_ROW: Final = {
    "id": 12,
    "submission": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "vote": None,
    "submission_version": 1,
    "about": "generation",
    "card": "owner/name",
    "model": "owner/name:bf16",
    "campaign": None,
    "questionnaire": "answer-quality",
    "language": "en",
    "entered_by": "flagged",
    "entered_at": "2026-05-01T12:00:00.000000Z",
    "priority": 30,
    "state": "waiting",
    "outcome": "",
    "reason": "",
    "duplicate_of": None,
    "verdict_count": 0,
    "needed": 2,
    "needs_maintainer": False,
    "decided_at": None,
    "signs": [],
    "is_claimed": True,
    "is_withdrawn": False,
    "answers": {"thumb": "down", "comment": "Names no source."},
}
EXAMPLE_VERDICT: Final = {
    "id": 31,
    "item": 12,
    "reviewer": "ruth",
    "kind": "independent",
    "verdict": "accept",
    "reason": "",
    "duplicate_of": None,
    "labels": ["factual-error"],
    "answers": {},
    "note": "",
    "submission_version": 1,
    "created_at": "2026-05-01T12:10:00.000000Z",
    "superseded_at": None,
    "superseded_by": "",
}
EXAMPLE_RUN: Final = {
    "generation": "0d4f7f0c-7a55-4d0e-8f1a-93a5b2b4b8e2",
    "model": "owner/name:bf16",
    "prompt": "What is a steelyard?",
    "output": "A kind of ship.",
    "thinking": "",
    "finish_reason": "stop",
    "params": {"temperature": 0.7},
    "provenance": {"dtype": "bfloat16"},
}
EXAMPLE_DETAIL: Final = {
    **EXAMPLE_ROW,
    "claim": {"number": 1, "expires_at": "2026-05-01T12:20:00.000000Z"},
    "is_blind": True,
    "is_own": False,
    "consent": "publish",
    "licence": "CC-BY-4.0",
    "runs": [EXAMPLE_RUN],
    "sides": [],
    "verdicts": [],
    "inquiries": [],
    "similar": [],
}


def item_row(item: ReviewItem, *, answers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An item as the queue lists it; without `answers` they are read."""
    decided_at = item.decided_at
    return {
        "id": item.pk,
        "submission": str(item.submission_id) if item.submission_id is not None else None,
        "vote": str(item.vote_id) if item.vote_id is not None else None,
        "submission_version": item.submission_version,
        "about": item.target_kind,
        "card": item.card.name if item.card is not None else None,
        "model": item.variant.model_id if item.variant is not None else None,
        "campaign": item.campaign.slug if item.campaign is not None else None,
        "questionnaire": item.questionnaire,
        "language": item.language,
        "entered_by": item.entered_by,
        "entered_at": iso_utc(item.entered_at),
        "priority": item.priority,
        "state": item.state,
        "outcome": item.outcome,
        "reason": item.reason,
        "duplicate_of": item.duplicate_of_id,
        "verdict_count": item.verdict_count,
        "needed": item.needed,
        "needs_maintainer": item.needs_maintainer,
        "decided_at": iso_utc(decided_at) if decided_at is not None else None,
        "signs": [sign for sign in item.signs if sign in Sign.values],
        "is_claimed": item.is_claimed,
        "is_withdrawn": item.subject.is_withdrawn,
        "answers": _said(item, answers),
    }


def item_detail(page: ItemPage, reviewer: User) -> dict[str, Any]:
    """An item as its page shows it to `reviewer`."""
    item = page.item
    submission = item.submission
    claim = None
    if item.is_held_by(reviewer) and item.claim_expires_at is not None:
        claim = {"number": item.claim_number, "expires_at": iso_utc(item.claim_expires_at)}
    runs = [] if item.subject.is_withdrawn else page.runs
    return {
        **item_row(item),
        "claim": claim,
        "is_blind": page.is_blind,
        "is_own": page.is_own,
        "consent": submission.consent if submission is not None else None,
        "licence": submission.licence if submission is not None else None,
        "runs": [run_row(run) for run in runs],
        "sides": [_side(side) for side in page.sides],
        "verdicts": [verdict_row(review) for review in page.reviews],
        "inquiries": [{"question": each.question, "answer": each.answer} for each in page.inquiries],
        "similar": [{"item": other.pk, "percent": percent} for other, percent in page.similar],
    }


def verdict_row(review: Review) -> dict[str, Any]:
    """A verdict as it was given, and whether it still counts."""
    superseded_at = review.superseded_at
    return {
        "id": review.pk,
        "item": review.item_id,
        "reviewer": review.reviewer.username if review.reviewer is not None else None,
        "kind": review.kind,
        "verdict": review.verdict,
        "reason": review.reason,
        "duplicate_of": review.duplicate_of_id,
        "labels": review.labels,
        "answers": review.answers,
        "note": review.note,
        "submission_version": review.submission_version,
        "created_at": iso_utc(review.created_at),
        "superseded_at": iso_utc(superseded_at) if superseded_at is not None else None,
        "superseded_by": review.superseded_by,
    }


def _said(item: ReviewItem, answers: Mapping[str, Any] | None) -> Mapping[str, Any]:
    vote = item.vote
    if vote is None or vote.is_withdrawn:
        return said(item.subject) if answers is None else answers
    return {"outcome": vote.outcome, "reasons": vote.reasons}


def _side(side: Side) -> dict[str, Any]:
    """A run's id would tell whose it is."""
    turns = [{"prompt": run.prompt, "output": run.output, "thinking": run.thinking} for run in side.turns]
    model = side.variant.model_id if side.variant is not None else None
    return {"letter": side.letter, "is_preferred": side.is_preferred, "model": model, "turns": turns}


def run_row(run: Generation) -> dict[str, Any]:
    """A run as those read it who judge what is said of it; its variant and card have been loaded."""
    return {
        "generation": str(run.pk),
        "model": run.variant.model_id,
        "prompt": run.prompt,
        "output": run.output,
        "thinking": run.thinking,
        "finish_reason": run.finish_reason,
        "params": run.params,
        "provenance": run.provenance,
    }
