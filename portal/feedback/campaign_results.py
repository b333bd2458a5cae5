"""What came out of a campaign: for every question the counts, shares, means and their intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from portal.arena.review_states import SET_ASIDE
from portal.feedback.answer_values import NO, YES
from portal.feedback.intervals import Interval, Mean, bootstrap_mean, median_of, wilson_interval
from portal.feedback.models import Answer, Campaign, ChosenQuote, Question, QuestionKind, Submission
from portal.feedback.wording import wording

# What reviewers took out does not count; the page says how many.
# Of a number; at most one more, since their edges are round.
BINS: Final = 8
MOST_MONTHS: Final = 24
MAX_QUOTES: Final = 50


@dataclass(frozen=True, slots=True)
class Bar:
    """How many of n said this. Positions are on a scale from 0 to 100."""

    key: str
    label: str
    count: int
    share: float
    interval: Interval

    @property
    def width(self) -> float:
        return round(self.share * 100, 2)

    @property
    def low(self) -> float:
        return round(self.interval.low * 100, 2)

    @property
    def high(self) -> float:
        return round(self.interval.high * 100, 2)


@dataclass(frozen=True, slots=True)
class RankedChoice:
    """A choice's mean place of `last` in a ranking; 1 is the best, and ties share the mean of their places.

    Positions are on a scale from 0, the first place, to 100, the last.
    """

    label: str
    mean: Mean
    last: int

    @property
    def at(self) -> float:
        return self._position(self.mean.value)

    @property
    def low(self) -> float:
        return self._position(self.mean.interval.low) if self.mean.interval is not None else self.at

    @property
    def high(self) -> float:
        return self._position(self.mean.interval.high) if self.mean.interval is not None else self.at

    def _position(self, place: float) -> float:
        return round(100 * (place - 1) / max(1, self.last - 1), 2)


@dataclass(frozen=True, slots=True)
class BarGroup:
    """Bars of one row of a matrix, or of a question, whose label is then empty."""

    label: str
    n: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """`n` people answered it."""

    key: str
    kind: str
    label: str
    n: int
    groups: tuple[BarGroup, ...] = ()
    mean: Mean | None = None
    median: float | None = None
    unit: str = ""
    ranked: tuple[RankedChoice, ...] = ()
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CampaignResults:
    """`n` submissions count; `left_out` were taken out by reviewers."""

    n: int
    left_out: int
    questions: tuple[QuestionResult, ...]


def live_submissions(campaign: Campaign) -> QuerySet[Submission]:
    return Submission.objects.filter(campaign=campaign, withdrawn_at=None)


def campaign_results(campaign: Campaign, language: str = "") -> CampaignResults:
    """Everything that the results page shows, in three queries and one more per question."""
    states = live_submissions(campaign).order_by().values_list("review_state").annotate(count=Count("pk"))
    counts = dict(states)
    left_out = sum(counts.get(state, 0) for state in SET_ASIDE)
    quotes = _quotes(campaign)
    questions = campaign.questionnaire.questions.all()
    return CampaignResults(
        n=sum(counts.values()) - left_out,
        left_out=left_out,
        questions=tuple(result_of(question, _values(campaign, question), quotes, language) for question in questions),
    )


def _values(campaign: Campaign, question: Question) -> Counter[Any]:
    """How often each stored value was given; what is no number or text as a tuple of its parts."""
    answers = Answer.objects.filter(
        question=question, submission__campaign=campaign, submission__withdrawn_at=None
    ).exclude(submission__review_state__in=SET_ASIDE)
    match question.kind:
        case QuestionKind.RATING:
            return Counter(dict(answers.order_by().values_list("number").annotate(Count("pk"))))
        case QuestionKind.NUMBER:
            counted = answers.order_by().values_list("decimal").annotate(Count("pk"))
            return Counter({float(value): count for value, count in counted})
        case QuestionKind.THUMB | QuestionKind.YES_NO | QuestionKind.CHOICE:
            return Counter(dict(answers.order_by().values_list("choice").annotate(Count("pk"))))
        case QuestionKind.DATE:
            counted = answers.order_by().values_list("date").annotate(Count("pk"))
            return Counter({day.isoformat(): count for day, count in counted})
        case QuestionKind.TEXT:
            return Counter({"": answers.count()})
        case _:
            return Counter(_frozen(data) for data in answers.order_by().values_list("data", flat=True).iterator())


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def result_of(
    question: Question, values: Counter[Any], quotes: Mapping[int, list[str]], language: str
) -> QuestionResult:
    """Out of how often each value was given, and by question the words that may be quoted."""
    label = wording(question, "label", question.label, language)
    n = values.total()
    unit = wording(question, "unit", question.options.get("unit", ""), language)
    groups: tuple[BarGroup, ...] = ()
    mean, median = None, None
    ranked: tuple[RankedChoice, ...] = ()
    match question.kind:
        case QuestionKind.RATING:
            groups = (bar_group(options_of(question, language), values, n),)
            mean = bootstrap_mean(values)
        case QuestionKind.THUMB | QuestionKind.YES_NO | QuestionKind.CHOICE:
            groups = (bar_group(options_of(question, language), values, n),)
        case QuestionKind.CHOICES:
            each: Counter[Any] = Counter()
            for chosen, count in values.items():
                each.update(dict.fromkeys(chosen, count))
            groups = (bar_group(options_of(question, language), each, n),)
        case QuestionKind.MATRIX:
            groups = tuple(_matrix_groups(question, values, language))
        case QuestionKind.RANKING:
            ranked = tuple(_ranked(question, values, language))
        case QuestionKind.NUMBER:
            mean, median = bootstrap_mean(values), median_of(values)
            groups = (_histogram(values, n),) if n else ()
        case QuestionKind.DATE:
            groups = (_calendar(values, n),)
        case _:
            pass
    return QuestionResult(
        question.key,
        question.kind,
        label,
        n,
        groups=groups,
        mean=mean,
        median=median,
        unit=unit,
        ranked=ranked,
        quotes=tuple(quotes.get(question.pk, ())),
    )


def options_of(question: Question, language: str = "") -> list[tuple[Any, str]]:
    """Key and label of everything that can be chosen."""
    if question.kind == QuestionKind.YES_NO:
        return [(YES, _("Yes")), (NO, _("No"))]
    if question.kind == QuestionKind.RATING:
        anchors = question.options.get("anchors", {})
        return [
            (
                number,
                f"{number} {wording(question, f'anchors.{number}', anchors.get(str(number), ''), language)}".strip(),
            )
            for number in range(question.options["min"], question.options["max"] + 1)
        ]
    return _labels(question, "choices", language)


def _labels(question: Question, name: str, language: str) -> list[tuple[Any, str]]:
    return [
        (choice["key"], wording(question, f"{name}.{choice['key']}", choice["label"], language))
        for choice in question.options.get(name, ())
    ]


def bar_group(options: Iterable[tuple[Any, str]], counts: Mapping[Any, int], n: int, label: str = "") -> BarGroup:
    return BarGroup(label, n, tuple(_bar(key, text, counts.get(key, 0), n) for key, text in options))


def _bar(key: Any, label: str, count: int, n: int) -> Bar:
    return Bar(str(key), label, count, count / n if n else 0.0, wilson_interval(count, n))


def _matrix_groups(question: Question, values: Counter[Any], language: str) -> Iterable[BarGroup]:
    columns = _labels(question, "columns", language)
    for row, label in _labels(question, "rows", language):
        counts: Counter[str] = Counter()
        for said, count in values.items():
            column = dict(said).get(row)
            if column is not None:
                counts[column] += count
        yield bar_group(columns, counts, counts.total(), label)


def _ranked(question: Question, values: Counter[Any], language: str) -> Iterable[RankedChoice]:
    """The best mean place first."""
    places: dict[str, Counter[float]] = {}
    for groups, count in values.items():
        place = 1
        for group in groups:
            shared = place + (len(group) - 1) / 2
            for key in group:
                places.setdefault(key, Counter())[shared] += count
            place += len(group)
    labels = _labels(question, "choices", language)
    found = [
        RankedChoice(label, mean, last=len(labels))
        for key, label in labels
        if (mean := bootstrap_mean(places.get(key, {}))) is not None
    ]
    return sorted(found, key=lambda choice: choice.mean.value)


def _histogram(values: Counter[Any], n: int) -> BarGroup:
    """In classes whose edges are round numbers; a value at an edge is in the class that begins there."""
    low, high = min(values), max(values)
    if low == high:
        return bar_group([(low, f"{low:g}")], values, n)
    width = _round_width((high - low) / BINS)
    first, last = _class_of(low, width), _class_of(high, width)
    counts: Counter[int] = Counter()
    for value, count in values.items():
        counts[_class_of(value, width)] += count
    label = _("%(low)s to under %(high)s")
    edges = [(index, f"{index * width:.10g}", f"{(index + 1) * width:.10g}") for index in range(first, last + 1)]
    return bar_group([(index, label % {"low": start, "high": end}) for index, start, end in edges], counts, n)


def _class_of(value: float, width: float) -> int:
    # 0.3 / 0.1 is a little less than 3.
    return math.floor(round(value / width, 9))


def _round_width(least: float) -> float:
    """The first of 1, 2, 5, 10, 20, ... and of their tenths that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)


def _calendar(days: Counter[Any], n: int) -> BarGroup:
    """By month, or by year when those would be too many."""
    for digits in (len("2026-01"), len("2026")):
        counts: Counter[str] = Counter()
        for day, count in days.items():
            counts[day[:digits]] += count
        if len(counts) <= MOST_MONTHS:
            break
    return bar_group([(when, when) for when in sorted(counts)], counts, n)


def _quotes(campaign: Campaign) -> dict[int, list[str]]:
    """Chosen words by question; only of those who still consent to be quoted."""
    chosen = ChosenQuote.objects.filter(
        campaign=campaign, answer__submission__withdrawn_at=None, answer__submission__consent="quote"
    )
    found: dict[int, list[str]] = {}
    for question, text in chosen.values_list("answer__question_id", "answer__text")[:MAX_QUOTES]:
        found.setdefault(question, []).append(text)
    return found
