"""Reading questionnaires and submissions, each in a bounded number of queries."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db.models import Case, Count, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.feedback import answer_quality
from portal.feedback.answer_values import JudgedText
from portal.feedback.models import (
    COLUMNS,
    Answer,
    Campaign,
    CampaignDraft,
    QuestionKind,
    Questionnaire,
    Submission,
    stored_value,
)
from portal.playground.models import Generation, TokenTrace


def answer_questionnaire() -> Questionnaire:
    """The current version of the questionnaire on answers, with its questions."""
    return Questionnaire.objects.prefetch_related("questions").get(slug=answer_quality.SLUG, is_current=True)


def with_answers(submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    """Load every submission's answers and their questions in one query more."""
    return submissions.prefetch_related(Prefetch("answers", Answer.objects.select_related("question")))


def with_listed_answers(submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    """As `with_answers`, for lists: a query more, and each question is made once, however many answered it."""
    answers = Answer.objects.select_related(None).prefetch_related("question")
    return submissions.prefetch_related(Prefetch("answers", answers))


def said_in(submissions: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    """Of each that answered something: question key → value, in the questionnaire's order; in one query, as data."""
    told: dict[uuid.UUID, dict[str, Any]] = {}
    answers = Answer.objects.filter(submission__in=submissions).values_list("submission", "question__key", *COLUMNS)
    for submission, key, *columns in answers:
        told.setdefault(submission, {})[key] = stored_value(*columns)
    return told


def own_submission(actor: Actor, generation: Generation) -> Submission | None:
    """What the actor said about a generation, tombstones included."""
    own = Submission.objects.filter(
        actor.owns(), generation=generation, questionnaire_slug=answer_quality.SLUG, is_only=True
    )
    return with_answers(own.select_related("questionnaire")).first()


def judged_text(generation: Generation) -> JudgedText:
    """A run's answer and its tokens, which marks, corrections and better tokens are checked against."""
    trace = TokenTrace.objects.filter(pk=generation.pk).first()
    return JudgedText(generation.output, trace.tokens if trace is not None else ())


def place_among_contributions(actor: Actor, submission_id: uuid.UUID) -> int | None:
    """How many of the actor's own stand before this one in `contributions`; None when it is none of theirs."""
    own = Submission.objects.filter(actor.owns()).order_by()
    changed_at = own.filter(pk=submission_id).values_list("changed_at", flat=True).first()
    if changed_at is None:
        return None
    return own.filter(Q(changed_at__gt=changed_at) | Q(changed_at=changed_at, pk__gt=submission_id)).count()


def contributions(actor: Actor) -> QuerySet[Submission]:
    """Everything the actor gave, the last changed first, each with its run and its answers."""
    own = Submission.objects.filter(actor.owns()).order_by("-changed_at", "-id")
    judged = ("generation__conversation", "variant__card", "campaign", "card", "comparison__contest", "questionnaire")
    heavy = ("messages", "rendered_prompt", "output", "thinking", "provenance")
    light = own.select_related(*judged, "comparison__generation_a").defer(
        *(f"{run}__{column}" for run in ("generation", "comparison__generation_a") for column in heavy)
    )
    return with_answers(light)


def told_contributions(actor: Actor) -> QuerySet[Submission]:
    """The same without the runs, for a list of data: what many have in common is made once."""
    own = Submission.objects.filter(actor.owns())
    return with_listed_answers(own.prefetch_related("card", "campaign", "questionnaire"))


def asked_about(flag: str) -> QuerySet[Questionnaire]:
    """The current questionnaires of which `flag` (on_answers, on_comparisons, on_cards) is set."""
    return Questionnaire.objects.filter(is_current=True, **{flag: True}).order_by("slug")


def questionnaires_by_name() -> QuerySet[Questionnaire]:
    """The newest version of each questionnaire, with the numbers of the one asked now and of the draft."""
    same = Questionnaire.objects.filter(slug=OuterRef("slug"))
    newest = same.order_by("-version").values("pk")[:1]
    return Questionnaire.objects.filter(pk=Subquery(newest)).order_by("slug").annotate(
        current_version=Subquery(same.filter(is_current=True).values("version")[:1]),
        draft_version=Subquery(same.filter(published_at=None).values("version")[:1]),
    )  # fmt: skip


def campaigns_with_counts(*, unpublished: bool) -> QuerySet[Campaign]:
    """Campaigns with how many took part; open ones first, then by their opening."""
    counts = (
        Submission.objects.filter(campaign=OuterRef("pk"), withdrawn_at=None)
        .order_by()
        .values("campaign")
        .annotate(count=Count("pk"))
        .values("count")
    )
    campaigns = Campaign.objects.annotate(
        count=Coalesce(Subquery(counts), 0),
        is_over=Case(When(closes_at__lte=timezone.now(), then=Value(1)), default=Value(0)),
    ).order_by("is_over", "-opens_at", "-pk")
    return campaigns if unpublished else campaigns.filter(is_published=True)


def submission_count(campaign: Campaign) -> int:
    """How many took part and did not take it back."""
    return Submission.objects.filter(campaign=campaign, withdrawn_at=None).count()


def own_campaign_submission(actor: Actor, campaign: Campaign) -> Submission | None:
    """What the actor said in a campaign that takes one submission per person; tombstones are none."""
    if not campaign.is_once:
        return None
    own = Submission.objects.filter(actor.owns(), campaign=campaign, is_only=True, withdrawn_at=None)
    return with_answers(own).first()


def campaign_draft(actor: Actor, campaign: Campaign) -> CampaignDraft | None:
    """What the actor wrote there and did not send."""
    return CampaignDraft.objects.filter(actor.owns(), campaign=campaign).first()


def text_answers(campaign: Campaign) -> QuerySet[Answer]:
    """What people wrote in a campaign, the newest first, each with its submission and the quote made of it."""
    answers = Answer.objects.filter(
        submission__campaign=campaign, submission__withdrawn_at=None, question__kind=QuestionKind.TEXT
    )
    return answers.select_related("submission", "question", "quote").order_by("-submission__created_at", "-pk")
