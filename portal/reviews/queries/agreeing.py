"""How reviewers agree in a period: alpha per question, pair and month, confusion, and what gold items measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from typing import Any, Final

from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.feedback.models import Question, QuestionKind
from portal.reviews.agreement import Agreement, Metric, confusion, krippendorff_alpha
from portal.reviews.charts import Estimates, HeatGrid, estimates, heat_grid
from portal.reviews.models import Review
from portal.reviews.models.verdicts import Superseded
from portal.reviews.proportions import Share
from portal.reviews.settling import DECISIVE_VERDICTS, Kind, Verdict

DEFAULT_DAYS: Final = 90
# Enough for every interval to be narrow; older verdicts of a longer period are said to be left out.
MOST_VERDICTS: Final = 20_000
MOST_PAIRS: Final = 50
Row = dict[str, Any]
_STANDS_OR_WAS_UNDONE: Final = Q(superseded_at=None) | Q(superseded_by=Superseded.UNDONE)
_COLUMNS: Final = (
    "item_id", "reviewer_id", "verdict", "answers", "created_at", "superseded_at",
    "item__questionnaire", "item__vote_id", "item__needed",
)  # fmt: skip
_METRIC_OF_KIND: Final = {
    QuestionKind.THUMB: Metric.NOMINAL,
    QuestionKind.YES_NO: Metric.NOMINAL,
    QuestionKind.CHOICE: Metric.NOMINAL,
    QuestionKind.RATING: Metric.ORDINAL,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One line: what was measured, on which scale, and how it came out."""

    label: str
    metric: Metric
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Pair:
    one: str
    other: str
    same: Share
    agreement: Agreement
    cells: list[tuple[str, list[int]]]
    grid: HeatGrid


@dataclass(frozen=True, slots=True)
class GoldScore:
    reviewer: str
    right: Share


@dataclass(frozen=True, slots=True)
class AgreementReport:
    since: date
    until: date
    is_cut: bool
    verdicts: Agreement
    questions: list[Measured]
    months: list[Measured]
    pairs: list[Pair]
    gold: list[GoldScore]
    columns: list[str]
    chart: Estimates


def agreement_report(since: date | None = None, until: date | None = None) -> AgreementReport:
    """Independent verdicts, one of each person, on items that at least two people judged."""
    until = until or timezone.now().date()
    since = since or until - timedelta(days=DEFAULT_DAYS)
    found = Review.objects.filter(
        _STANDS_OR_WAS_UNDONE,
        kind=Kind.INDEPENDENT,
        created_at__gte=_start(since),
        created_at__lt=_start(until + timedelta(days=1)),
        verdict__in=DECISIVE_VERDICTS,
        reviewer__isnull=False,
    ).order_by("-created_at", "-id")
    rows: list[Row] = [dict(row) for row in found.values(*_COLUMNS)[: MOST_VERDICTS + 1]]
    is_cut = len(rows) > MOST_VERDICTS
    rows = rows[:MOST_VERDICTS]
    by_item: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_item[row["item_id"]].append(row)
    judged = [group for group in map(_one_of_each, by_item.values()) if len(group) > 1]
    verdicts = krippendorff_alpha([row["verdict"] for row in group] for group in judged)
    questions, months = _questions(judged), _months(judged)
    return AgreementReport(
        since=since,
        until=until,
        is_cut=is_cut,
        verdicts=verdicts,
        questions=questions,
        months=months,
        pairs=_pairs(judged),
        gold=_gold(since, until),
        columns=[str(verdict.label) for verdict in _VERDICTS],
        chart=_chart(verdicts, questions, months),
    )


def _one_of_each(given: Sequence[Row]) -> list[Row]:
    """Of each reviewer the verdict that stands, or the first after which they were told something and undid it."""
    chosen: dict[int, Row] = {}
    for row in sorted(given, key=lambda row: row["created_at"]):
        if row["reviewer_id"] not in chosen and (row["superseded_at"] is None or _was_told(row, given)):
            chosen[row["reviewer_id"]] = row
    return list(chosen.values())


def _was_told(undone: Row, given: Iterable[Row]) -> bool:
    """Whether names, or the others' verdicts, were readable before it was undone: what followed was not blind."""
    spoken = {row["reviewer_id"] for row in given if row["created_at"] <= undone["superseded_at"]}
    return undone["item__vote_id"] is not None or len(spoken) >= undone["item__needed"]


def _chart(verdicts: Agreement, questions: Iterable[Measured], months: Iterable[Measured]) -> Estimates:
    lines = [
        (_("Verdicts"), verdicts),
        *((each.label, each.agreement) for each in questions),
        *((_("Verdicts of %(month)s") % {"month": each.label}, each.agreement) for each in months),
    ]
    return estimates([(label, found.alpha, found.low, found.high) for label, found in lines])


def _questions(judged: Iterable[list[Row]]) -> list[Measured]:
    values: defaultdict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    for group in judged:
        keys = {key for row in group for key in row["answers"]}
        for key in keys:
            given = [row["answers"][key] for row in group if key in row["answers"]]
            values[group[0]["item__questionnaire"], key].append(given)
    slugs = {slug for slug, _key in values}
    questions = {
        (question.questionnaire.slug, question.key): question
        for question in Question.objects.filter(
            questionnaire__slug__in=slugs, questionnaire__is_current=True
        ).select_related("questionnaire")
    }
    found = []
    for (slug, key), units in sorted(values.items()):
        question = questions.get((slug, key))
        metric = _METRIC_OF_KIND.get(QuestionKind(question.kind)) if question is not None else None
        if metric is not None and question is not None:
            label = f"{question.questionnaire.title}: {question.label}"
            found.append(Measured(label, metric, krippendorff_alpha(units, metric)))
    return found


def _months(judged: Iterable[list[Row]]) -> list[Measured]:
    """An item belongs to the month of its last verdict."""
    by_month: defaultdict[str, list[list[str]]] = defaultdict(list)
    for group in judged:
        month = max(row["created_at"] for row in group).strftime("%Y-%m")
        by_month[month].append([row["verdict"] for row in group])
    return [Measured(month, Metric.NOMINAL, krippendorff_alpha(units)) for month, units in sorted(by_month.items())]


def _pairs(judged: Iterable[list[Row]]) -> list[Pair]:
    both: defaultdict[tuple[int, int], list[tuple[str, str]]] = defaultdict(list)
    for group in judged:
        for left, right in combinations(sorted(group, key=lambda row: row["reviewer_id"]), 2):
            both[left["reviewer_id"], right["reviewer_id"]].append((left["verdict"], right["verdict"]))
    most = sorted(both.items(), key=lambda pair: -len(pair[1]))[:MOST_PAIRS]
    people = User.objects.in_bulk({key for keys, _verdicts in most for key in keys})
    pairs = []
    for (one, other), verdicts in most:
        counts = confusion(verdicts)
        cells = [
            (str(row.label), [counts.get((row.value, column.value), 0) for column in _VERDICTS]) for row in _VERDICTS
        ]
        same = Share(sum(a == b for a, b in verdicts), len(verdicts))
        grid = heat_grid([label for label, _counts in cells], [counts for _label, counts in cells])
        alpha = krippendorff_alpha(verdicts)
        pairs.append(Pair(people[one].username, people[other].username, same, alpha, cells, grid))
    return pairs


def _gold(since: date, until: date) -> list[GoldScore]:
    # The first verdict counts, also where it was undone: the answer to a verdict says what the item is.
    given = Review.objects.filter(
        _STANDS_OR_WAS_UNDONE,
        kind=Kind.GOLD,
        created_at__gte=_start(since),
        created_at__lt=_start(until + timedelta(days=1)),
        item__gold__isnull=False,
        reviewer__isnull=False,
    )
    right: defaultdict[str, list[bool]] = defaultdict(list)
    rows = given.annotate(expected=F("item__gold__verdict")).order_by("created_at", "id")
    judged: set[tuple[str, int]] = set()
    for name, item_id, verdict, expected in rows.values_list("reviewer__username", "item_id", "verdict", "expected")[
        :MOST_VERDICTS
    ]:
        if (name, item_id) not in judged:
            judged.add((name, item_id))
            right[name].append(verdict == expected)
    return [GoldScore(name, Share(sum(hits), len(hits))) for name, hits in sorted(right.items())]


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


_VERDICTS: Final = [verdict for verdict in Verdict if verdict in DECISIVE_VERDICTS]
