"""`reviews`: what reviewers said of submissions and votes that are decided, and how far they agreed on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
from portal.exports.queries import in_chunks, selected, until_now
from portal.exports.reviewed import FEWEST_REVIEWERS, INDEPENDENT
from portal.exports.rows import iso_utc, reviewer_pseudonym
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import LANGUAGE, QUESTIONNAIRE, SUBMISSION_FILTERS
from portal.exports.tables.comparisons import FILTERS as VOTE_FILTERS
from portal.exports.tables.comparisons import selected_votes
from portal.exports.tables.table import ExportTable, Plan
from portal.feedback.models import Target
from portal.reviews.models import Review
from portal.reviews.settling import ItemState
from portal.reviews.settling import Kind as Role

# Of the verdicts; all else is asked of what was judged.
TIMES: Final = frozenset({"since", "until"})

SCHEMA: Final = Schema(
    (
        Column("id", Kind.TEXT, _("The verdict's number.")),
        Column("created_at", Kind.TIME, _("When it was given, UTC.")),
        Column(
            "reviewer",
            Kind.TEXT,
            _("A pseudonym, the same for all verdicts of one reviewer and another than theirs as a contributor."),
            is_nullable=True,
            category=True,
        ),
        Column("role", Kind.TEXT, _("independent, or adjudication between the others."), category=True),
        Column("verdict", Kind.TEXT, _("accept, reject, duplicate, spam, question or escalate."), category=True),
        Column("reason", Kind.TEXT, _("Why it was rejected; empty for other verdicts."), category=True),
        Column("labels", Kind.TEXTS, _("The labels that the reviewer put on it.")),
        Column("answers", Kind.JSON, _("Question key → the reviewer's own answer, only what was answered.")),
        Column("submission", Kind.TEXT, _("The submission that was judged; null where it was a vote."), True),
        Column("vote", Kind.TEXT, _("The vote that was judged; null where it was a submission."), True),
        Column("submission_version", Kind.INTEGER, _("The version that the reviewer read.")),
        QUESTIONNAIRE,
        LANGUAGE,
        Column("outcome", Kind.TEXT, _("What was decided."), category=True),
        Column("decided_at", Kind.TIME, _("When it was decided, UTC.")),
        Column("reviewers", Kind.INTEGER, _("How many judged it independently.")),
        Column(
            "agreement",
            Kind.NUMBER,
            _("The share of the independent reviewers whose verdict became the outcome; null for fewer than two."),
            is_nullable=True,
        ),
        Column(
            "alpha",
            Kind.NUMBER,
            _(
                "The item's part in Krippendorff's alpha of all independent verdicts in this table: 1 less its "
                "disagreement over that expected by chance. The mean over items, weighted by reviewers, is alpha. Null "
                "for fewer than two reviewers, or where everybody always said the same."
            ),
            is_nullable=True,
        ),
    )
)


@dataclass(frozen=True, slots=True)
class ItemAgreement:
    """How the independent verdicts on one item compare with its outcome, and with chance."""

    reviewers: int
    agreement: float | None
    alpha: float | None


def item_agreement(verdicts: Sequence[str], outcome: str, expected: float) -> ItemAgreement:
    """Of an item with these independent verdicts; `expected` is the disagreement that chance alone would give."""
    number = len(verdicts)
    if number < FEWEST_REVIEWERS:
        return ItemAgreement(number, None, None)
    same_pairs = sum(count * (count - 1) for count in Counter(verdicts).values())
    observed = 1 - same_pairs / (number * (number - 1))
    alpha = 1 - observed / expected if expected else None
    return ItemAgreement(number, list(verdicts).count(outcome) / number, alpha)


def expected_disagreement(counts: Sequence[int]) -> float:
    """By chance between two verdicts, where each verdict was given so many times."""
    number = sum(counts)
    if number < FEWEST_REVIEWERS:
        return 0.0
    return 1 - sum(count * (count - 1) for count in counts) / (number * (number - 1))


def review_row(review: Review, agreed: ItemAgreement, salt: bytes) -> Row:
    """One row per verdict; what a reviewer noted in words is not given out."""
    item = review.item
    return {
        "id": str(review.pk),
        "created_at": iso_utc(review.created_at),
        "reviewer": reviewer_pseudonym(salt, review.reviewer_id),
        "role": review.kind,
        "verdict": review.verdict,
        "reason": review.reason,
        "labels": list(review.labels),
        "answers": review.answers,
        "submission": None if item.submission_id is None else str(item.submission_id),
        "vote": None if item.vote_id is None else str(item.vote_id),
        "submission_version": review.submission_version,
        "questionnaire": item.questionnaire,
        "language": item.language,
        "outcome": item.outcome,
        "decided_at": iso_utc(item.decided_at) if item.decided_at is not None else None,
        "reviewers": agreed.reviewers,
        "agreement": agreed.agreement,
        "alpha": agreed.alpha,
    }


def _selected(criteria: Criteria) -> QuerySet[Review]:
    """Live verdicts on what is decided and published: before that, a reviewer could read the other's."""
    of_subject = criteria.only(SUBMISSION_FILTERS - TIMES)
    judged = Q(item__submission__in=selected(of_subject, Target))
    if of_subject.given() <= VOTE_FILTERS:
        judged |= Q(item__vote__in=selected_votes(of_subject).select_related(None))
    reviews = Review.objects.filter(judged, superseded_at=None, item__state=ItemState.DECIDED).exclude(kind=Role.GOLD)
    if criteria.since is not None:
        reviews = reviews.filter(created_at__gte=criteria.since)
    return reviews.filter(created_at__lt=criteria.until)


def _rows(reviews: QuerySet[Review], salt: bytes) -> Iterator[list[Row]]:
    another = Review.objects.filter(INDEPENDENT, item=OuterRef("item")).exclude(pk=OuterRef("pk"))
    pairable = reviews.filter(INDEPENDENT).filter(Exists(another)).order_by()
    counts = pairable.values_list("verdict").annotate(count=Count("pk"))
    expected = expected_disagreement([count for _verdict, count in counts])
    for chunk in in_chunks(reviews.select_related("item")):
        said: dict[int, list[str]] = {review.item_id: [] for review in chunk}
        for item, verdict in Review.objects.filter(INDEPENDENT, item__in=said).values_list("item_id", "verdict"):
            said[item].append(verdict)
        agreed = {
            review.item_id: item_agreement(said[review.item_id], review.item.outcome, expected) for review in chunk
        }
        yield [review_row(review, agreed[review.item_id], salt) for review in chunk]


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    reviews = _selected(until_now(criteria))
    return Plan(SCHEMA, _rows(reviews, salt), expected=reviews.count)


REVIEWS: Final = ExportTable(
    name="reviews",
    title=_("Reviewers' verdicts"),
    summary=_("One row per verdict on what is decided, by anonymous reviewers, with how far they agreed on it."),
    schema=SCHEMA,
    filters=SUBMISSION_FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["submission"] or row["vote"],),
)
