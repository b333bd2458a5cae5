"""What people said about the answers to given prompts: how many thumbs, how many of them up, and the interval."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, Q

from portal.feedback.intervals import wilson_interval
from portal.feedback.models import Answer, QuestionKind
from portal.playground.prompt_library import PromptRating


def prompt_ratings(prompts: Sequence[str]) -> dict[str, PromptRating]:
    """Ratings by prompt, in one query; a prompt whose answers nobody rated is left out."""
    thumbs = Answer.objects.filter(
        question__kind=QuestionKind.THUMB,
        submission__withdrawn_at__isnull=True,
        submission__generation__prompt__in=prompts,
    )
    rows = (
        thumbs.order_by()
        .values_list("submission__generation__prompt")
        .annotate(n=Count("pk"), up=Count("pk", filter=Q(choice="up")))
    )
    ratings = {}
    for prompt, n, up in rows:
        interval = wilson_interval(up, n)
        ratings[prompt] = PromptRating(n, up, interval.low, interval.high)
    return ratings
