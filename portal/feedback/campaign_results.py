"""What came out of a campaign: for every question the counts, shares, means and their intervals."""

from __future__ import annotations

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
BINS: Final = 8
MAX_QUOTES: Final = 50
# Questions whose answers are one or several of few: they have bars, and can be crossed with each other.
CATEGORICAL: Final = frozenset(
    {QuestionKind.THUMB, QuestionKind.YES_NO, QuestionKind.RATING, QuestionKind.CHOICE, QuestionKind.CHOICES}
)


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
    """A choice's mean place in a ranking; 1 is the best, and ties share the mean of their places."""

    label: str
    mean: Mean


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
        questions=tuple(_result(question, _values(campaign, question), quotes, language) for question in questions),
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


def _result(question: Question, values: Counter[Any], quotes: Mapping[int, list[str]], language: str) -> QuestionResult:
    label = wording(question, "label", question.label, language)
    n = values.total()
    unit = wording(question, "unit", question.options.get("unit", ""), language)
    groups: tuple[BarGroup, ...] = ()
    mean, median = None, None
    ranked: tuple[RankedChoice, ...] = ()
    match question.kind:
        case QuestionKind.RATING:
            groups = (_group(options_of(question, language), values, n),)
            mean = bootstrap_mean(values)
        case QuestionKind.THUMB | QuestionKind.YES_NO | QuestionKind.CHOICE:
            groups = (_group(options_of(question, language), values, n),)
        case QuestionKind.CHOICES:
            each: Counter[Any] = Counter()
            for chosen, count in values.items():
                each.update(dict.fromkeys(chosen, count))
            groups = (_group(options_of(question, language), each, n),)
        case QuestionKind.MATRIX:
            groups = tuple(_matrix_groups(question, values, language))
        case QuestionKind.RANKING:
            ranked = tuple(_ranked(question, values, language))
        case QuestionKind.NUMBER:
            mean, median = bootstrap_mean(values), median_of(values)
            groups = (_histogram(values, n),) if n else ()
        case QuestionKind.DATE:
            months = Counter[str]()
            for day, count in values.items():
                months[day[:7]] += count
            groups = (_group([(month, month) for month in sorted(months)], months, n),)
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


def _group(options: Iterable[tuple[Any, str]], counts: Mapping[Any, int], n: int, label: str = "") -> BarGroup:
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
        yield _group(columns, counts, counts.total(), label)


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
    found = [
        RankedChoice(label, mean)
        for key, label in _labels(question, "choices", language)
        if (mean := bootstrap_mean(places.get(key, {}))) is not None
    ]
    return sorted(found, key=lambda choice: choice.mean.value)


def _histogram(values: Counter[Any], n: int) -> BarGroup:
    low, high = min(values), max(values)
    if low == high:
        return _group([(low, f"{low:g}")], values, n)
    width = (high - low) / BINS
    counts: Counter[int] = Counter()
    for value, count in values.items():
        counts[min(BINS - 1, int((value - low) / width))] += count
    edges = [(index, f"{low + index * width:g} to {low + (index + 1) * width:g}") for index in range(BINS)]
    return _group(edges, counts, n)


def _quotes(campaign: Campaign) -> dict[int, list[str]]:
    """Chosen words by question; only of those who still consent to be quoted."""
    chosen = ChosenQuote.objects.filter(
        campaign=campaign, answer__submission__withdrawn_at=None, answer__submission__consent="quote"
    )
    found: dict[int, list[str]] = {}
    for question, text in chosen.values_list("answer__question_id", "answer__text")[:MAX_QUOTES]:
        found.setdefault(question, []).append(text)
    return found


# --- Two questions crossed


@dataclass(frozen=True, slots=True)
class CrossRow:
    label: str
    n: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class CrossTable:
    """Of those who chose a row's answer, how many chose each column's. Who may choose several counts in each."""

    row: Question
    column: Question
    columns: tuple[str, ...]
    rows: tuple[CrossRow, ...]


def categorical_questions(campaign: Campaign) -> list[Question]:
    return [question for question in campaign.questionnaire.questions.all() if question.kind in CATEGORICAL]


def cross_table(campaign: Campaign, row: Question, column: Question, language: str = "") -> CrossTable:
    """Shares of the column's answers within each row's, over those who answered both."""
    answers = Answer.objects.filter(
        question__in=[row, column], submission__campaign=campaign, submission__withdrawn_at=None
    ).exclude(submission__review_state__in=SET_ASIDE)
    said: dict[Any, dict[int, Any]] = {}
    columns = ("submission_id", "question_id", "number", "choice", "data")
    for submission, question, number, choice, data in answers.order_by().values_list(*columns).iterator():
        said.setdefault(submission, {})[question] = data if data is not None else [choice or number]
    counts: dict[Any, Counter[Any]] = {}
    totals: Counter[Any] = Counter()
    for both in said.values():
        if len(both) < len({row.pk, column.pk}):
            continue
        for row_key in both[row.pk]:
            totals[row_key] += 1
            counts.setdefault(row_key, Counter()).update(both[column.pk])
    options = options_of(column, language)
    rows = [
        CrossRow(label, totals[key], _group(options, counts.get(key, {}), totals[key]).bars)
        for key, label in options_of(row, language)
    ]
    return CrossTable(row, column, tuple(label for _key, label in options), tuple(rows))
