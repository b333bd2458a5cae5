"""Reading questionnaires and submissions, each in a bounded number of queries."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from portal.accounts.actors import Actor
from portal.feedback import answer_quality
from portal.feedback.answer_values import JudgedText
from portal.feedback.models import Answer, Questionnaire, Submission
from portal.playground.models import Generation, TokenTrace


def answer_questionnaire() -> Questionnaire:
    """The current version of the questionnaire on answers, with its questions."""
    return Questionnaire.objects.prefetch_related("questions").get(slug=answer_quality.SLUG, is_current=True)


def with_answers(submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    """Load every submission's answers and their questions in one query more."""
    return submissions.prefetch_related(Prefetch("answers", Answer.objects.select_related("question")))


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


def contributions(actor: Actor) -> QuerySet[Submission]:
    """Everything the actor gave, the last changed first, each with its run and its answers."""
    own = Submission.objects.filter(actor.owns()).order_by("-changed_at", "-id")
    light = own.select_related("generation__conversation", "generation__variant__card").defer(
        "generation__messages",
        "generation__rendered_prompt",
        "generation__output",
        "generation__thinking",
        "generation__provenance",
    )
    return with_answers(light)
