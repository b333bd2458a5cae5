"""What people, reviewers and blind votes say of a card's model here; each number with its n, in a bounded number of
queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncMonth

from portal.arena.leaderboard import Row, read_leaderboard
from portal.arena.models import Pool, Vote
from portal.arena.ranking import Filters
from portal.arena.review_states import SET_ASIDE
from portal.catalog.models import ModelCard, Variant
from portal.evidence.intervals import Mean, Share, mean_rating
from portal.feedback import answer_quality
from portal.feedback.models import Answer, Question, QuestionKind, Submission
from portal.reviews.agreement import Agreement, krippendorff_alpha
from portal.reviews.models import Limitation, Review
from portal.reviews.settling import Kind

MAX_REASONS: Final = 8
MAX_REASON_ROWS: Final = 20_000
MAX_MONTHS: Final = 24
MAX_LIMITATIONS: Final = 20
MAX_REVIEWS: Final = 20_000
# What reviewers put aside is no evidence; what they have not seen yet is.
DOWN_REASONS: Final = f"reasons_{answer_quality.DOWN}"


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant's figures; its ratings with the questions that they answer."""

    variant: Variant
    thumbs: Share
    ratings: tuple[tuple[str, Mean | None], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A question that answers are rated by, over all variants."""

    key: str
    label: str
    smallest: int
    largest: int
    mean: Mean


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """How often a reason was named among those who called an answer bad and named any."""

    label: str
    share: Share


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One month's thumbs."""

    month: date
    thumbs: Share


@dataclass(frozen=True, slots=True)
class ArenaRow:
    """A variant's place in one pool of the arena."""

    pool: Pool
    row: Row


@dataclass(frozen=True, slots=True)
class CardEvidence:
    """Everything; `people` counts accounts and visitors."""

    judgements: int
    people: int
    thumbs: Share
    axes: tuple[Axis, ...]
    variants: tuple[VariantRow, ...]
    reasons: tuple[ReasonRow, ...]
    months: tuple[MonthRow, ...]
    arena: tuple[ArenaRow, ...]
    limitations: tuple[Limitation, ...]
    agreement: Agreement

    @property
    def is_empty(self) -> bool:
        return not (self.judgements or self.arena or self.limitations or self.agreement.units)


def read_evidence(card: ModelCard) -> CardEvidence:
    """Read it as it stands now."""
    submissions = Submission.objects.filter(
        card=card, withdrawn_at__isnull=True, questionnaire_slug=answer_quality.SLUG
    ).exclude(review_state__in=SET_ASIDE)
    counted = submissions.aggregate(
        judgements=Count("pk"), owners=Count("owner", distinct=True), visitors=Count("visitor", distinct=True)
    )
    answers = Answer.objects.filter(submission__in=submissions)
    variants = list(card.variants.all())
    thumbs, months = _thumbs(answers)
    questions = _rated_questions()
    ratings = _ratings(answers)
    axes = tuple(_axes(questions, ratings))
    shown = {axis.key for axis in axes}
    return CardEvidence(
        judgements=counted["judgements"],
        people=counted["owners"] + counted["visitors"],
        thumbs=_sum(thumbs.values()),
        axes=axes,
        variants=tuple(_variant_rows(variants, thumbs, [each for each in questions if each.key in shown], ratings)),
        reasons=tuple(_reasons(answers)),
        months=months,
        arena=tuple(_arena(variants)),
        limitations=tuple(_limitations(card)),
        agreement=_agreement(card),
    )


def _thumbs(answers: QuerySet[Answer]) -> tuple[dict[int | None, Share], tuple[MonthRow, ...]]:
    """By variant, and by month."""
    rows = (
        answers.filter(question__key=answer_quality.THUMB_KEY)
        .annotate(month=TruncMonth("submission__created_at"))
        .values_list("submission__variant", "month", "choice")
        .annotate(count=Count("pk"))
        .order_by()
    )
    by_variant: defaultdict[int | None, Counter[str]] = defaultdict(Counter)
    by_month: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for variant, month, choice, count in rows:
        by_variant[variant][choice] += count
        by_month[month.date()][choice] += count
    newest = sorted(by_month)[-MAX_MONTHS:]
    return (
        {variant: _share(counts) for variant, counts in by_variant.items()},
        tuple(MonthRow(month, _share(by_month[month])) for month in newest),
    )


def _share(counts: Counter[str]) -> Share:
    return Share(counts[answer_quality.UP], counts.total())


def _sum(shares: Iterable[Share]) -> Share:
    known = list(shares)
    return Share(sum(share.hits for share in known), sum(share.n for share in known))


def _rated_questions() -> list[Question]:
    """The rating questions of the current version."""
    return list(
        Question.objects.filter(
            kind=QuestionKind.RATING, questionnaire__slug=answer_quality.SLUG, questionnaire__is_current=True
        )
    )


Ratings = dict[tuple[str, int | None], Counter[int]]


def _ratings(answers: QuerySet[Answer]) -> Ratings:
    rows = (
        answers.filter(question__kind=QuestionKind.RATING, number__isnull=False)
        .values_list("question__key", "submission__variant", "number")
        .annotate(count=Count("pk"))
        .order_by()
    )
    found: Ratings = defaultdict(Counter)
    for key, variant, number, count in rows:
        found[key, variant][number] += count
    return found


def _scale(question: Question) -> tuple[int, int]:
    return int(question.options.get("min", 1)), int(question.options.get("max", 5))


def _axes(questions: list[Question], ratings: Ratings) -> Iterable[Axis]:
    for question in questions:
        counts: Counter[int] = Counter()
        for (key, _variant), given in ratings.items():
            if key == question.key:
                counts += given
        smallest, largest = _scale(question)
        mean = mean_rating(counts, smallest, largest)
        if mean is not None:
            yield Axis(question.key, question.label, smallest, largest, mean)


def _variant_rows(
    variants: list[Variant], thumbs: dict[int | None, Share], questions: list[Question], ratings: Ratings
) -> Iterable[VariantRow]:
    for variant in variants:
        given = tuple(
            (question.label, mean_rating(ratings.get((question.key, variant.pk), Counter()), *_scale(question)))
            for question in questions
        )
        share = thumbs.get(variant.pk, Share(0, 0))
        if share.n or any(mean for _label, mean in given):
            yield VariantRow(variant, share, given)


def _reasons(answers: QuerySet[Answer]) -> Iterable[ReasonRow]:
    """The most frequent reasons of those who called an answer bad; more than one may be named."""
    newest = answers.filter(question__key=DOWN_REASONS).order_by("-submission__created_at", "-pk")
    named: Counter[str] = Counter()
    people = 0
    for data in newest.values_list("data", flat=True)[:MAX_REASON_ROWS]:
        keys = {key for key in data if isinstance(key, str)} if isinstance(data, list) else set()
        people += bool(keys)
        named.update(keys)
    labels = _reason_labels()
    for key, count in sorted(named.items(), key=lambda item: (-item[1], item[0]))[:MAX_REASONS]:
        yield ReasonRow(labels.get(key, key), Share(count, people))


def _reason_labels() -> dict[str, str]:
    question = Question.objects.filter(
        key=DOWN_REASONS, questionnaire__slug=answer_quality.SLUG, questionnaire__is_current=True
    ).first()
    choices: list[dict[str, Any]] = question.options.get("choices", []) if question is not None else []
    return {str(choice.get("key")): str(choice.get("label")) for choice in choices}


def _arena(variants: list[Variant]) -> Iterable[ArenaRow]:
    own = {variant.pk for variant in variants}
    voted = Vote.objects.filter(Q(variant_a__in=own) | Q(variant_b__in=own), pool__isnull=False).order_by()
    for pool in Pool.objects.filter(pk__in=voted.values("pool").distinct()):
        for row in read_leaderboard(Filters(pool=pool.slug)).rows:
            if row.variant is not None and row.variant.pk in own:
                yield ArenaRow(pool, row)


def _limitations(card: ModelCard) -> QuerySet[Limitation]:
    return card.limitations.annotate(report_count=Count("reports"))[:MAX_LIMITATIONS]


def _agreement(card: ModelCard) -> Agreement:
    """Of the reviewers who judged reports on this card, without seeing each other's verdicts."""
    live = Review.objects.filter(item__submission__card=card, superseded_at__isnull=True, kind=Kind.INDEPENDENT)
    units: defaultdict[int, list[str]] = defaultdict(list)
    for item, verdict in live.order_by("-created_at", "-pk").values_list("item", "verdict")[:MAX_REVIEWS]:
        units[item].append(verdict)
    return krippendorff_alpha(units.values())
