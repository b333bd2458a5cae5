"""Which submissions and votes reviewers labelled, and agreed on."""

from __future__ import annotations

from typing import Final

from django.db.models import Avg, Case, Count, Exists, F, FloatField, OuterRef, Q, TextField, When
from django.db.models.functions import Cast

from portal.exports.criteria import Criteria
from portal.reviews.models import Review, ReviewItem
from portal.reviews.settling import DECISIVE_VERDICTS, ItemState, Kind

INDEPENDENT: Final = Q(kind=Kind.INDEPENDENT, superseded_at=None, verdict__in=DECISIVE_VERDICTS)
"""The verdicts that agreement is measured by."""
FEWEST_REVIEWERS: Final = 2


def reviewed(criteria: Criteria, subject: str) -> list[Exists]:
    """What `label` and `agreement_min` ask of the rows of a query; `subject` is "submission" or "vote"."""
    conditions = []
    if criteria.label is not None:
        # Of decided items alone: who reviews one must not learn here what the other said.
        decided = {"item__state": ItemState.DECIDED, f"item__{subject}": OuterRef("pk")}
        given = Review.objects.filter(superseded_at=None, **decided)
        # Labels are names out of a fixed list, so the text of the list holds one as a whole word or not at all.
        said = given.exclude(kind=Kind.GOLD).annotate(said=Cast("labels", TextField()))
        conditions.append(Exists(said.filter(said__contains=f'"{criteria.label}"')))
    if criteria.agreement_min is not None:
        counted = Q(
            reviews__kind=Kind.INDEPENDENT,
            reviews__superseded_at=None,
            reviews__verdict__in=DECISIVE_VERDICTS,
        )
        is_outcome = Case(When(reviews__verdict=F("outcome"), then=1.0), default=0.0, output_field=FloatField())
        items = ReviewItem.objects.filter(state=ItemState.DECIDED, **{subject: OuterRef("pk")})
        measured = items.values("pk").annotate(
            share=Avg(is_outcome, filter=counted), people=Count("reviews", filter=counted)
        )
        conditions.append(Exists(measured.filter(share__gte=criteria.agreement_min, people__gte=FEWEST_REVIEWERS)))
    return conditions
