"""What maintainers see of the queue as a whole, out of daily counts and short walks along indexes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.catalog.models import ModelCard, Variant
from portal.feedback.models import Campaign
from portal.reviews.charts import Columns, Shares, columns, shares
from portal.reviews.models import DailyCount, ReviewItem
from portal.reviews.models.counts import FACETS, Flow
from portal.reviews.proportions import Share
from portal.reviews.queries.entry import vote_form_name
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.queue_page import enumerate_times
from portal.reviews.settling import Reason

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 366 * 3
MOST_ROWS: Final = 30
_WEEKLY_BEYOND: Final = 62
_AGES: Final = (1, 3, 7, 30)
_BREAKDOWNS: Final = (
    ("card", gettext_lazy("Card")),
    ("variant", gettext_lazy("Variant")),
    ("language", gettext_lazy("Language")),
    ("questionnaire", gettext_lazy("Questionnaire")),
    ("campaign", gettext_lazy("Campaign")),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: what, how much, and the addresses' queries of the rows behind the number and the share."""

    label: str
    count: int
    query: str
    share: Share | None = None
    share_query: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    label: str
    entered: int
    decided: int
    accepted: int
    query: str
    decided_query: str


@dataclass(frozen=True, slots=True)
class Breakdown:
    title: str
    lines: list[Line]
    chart: Shares


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page; `filters` has the period that was in fact looked at."""

    filters: QueueFilters
    entered: int
    decided: int
    acceptance: Share
    periods: list[Period]
    flow_chart: Columns
    backlog: list[Line]
    outcomes: list[Line]
    reasons: list[Line]
    times: list[Line]
    breakdowns: list[Breakdown]


def overview(filters: QueueFilters) -> Overview:
    """The period's flows, broken down; without a period the last 30 days."""
    filters = _with_period(filters)
    rows = _counts(filters)
    by_verdict = _summed(rows, "flow", "reason", "hours_class")
    by_flow = _added(by_verdict, 0)
    decided = sum(count for flow, count in by_flow.items() if flow != Flow.ENTERED)
    accepted = by_flow.get(Flow.ACCEPT, 0)
    periods = _periods(rows, filters)
    chart = columns(
        [each.label for each in periods],
        [
            ("a", _("entered"), [(each.entered, each.query) for each in periods]),
            ("b", _("decided"), [(each.decided, each.decided_query) for each in periods]),
        ],
    )
    return Overview(
        filters=filters,
        entered=by_flow.get(Flow.ENTERED, 0),
        decided=decided,
        acceptance=Share(accepted, decided),
        periods=periods,
        flow_chart=chart,
        backlog=_backlog(filters),
        outcomes=_outcomes(by_flow, decided, filters),
        reasons=_reasons({key: n for key, n in by_verdict.items() if key[0] == Flow.REJECT}, filters),
        times=_times({key: n for key, n in by_verdict.items() if key[0] != Flow.ENTERED}, decided, filters),
        breakdowns=[each for each in _breakdowns(rows, filters) if each.lines],
    )


def count_rows(filters: QueueFilters) -> Iterator[tuple[Any, ...]]:
    """The counts themselves, for a file: a row of headings and then every count of the period."""
    fields = ("day", "flow", *FACETS, "reason", "hours_class", "count")
    yield fields
    yield from _counts(_with_period(filters)).order_by("day", "pk").values_list(*fields).iterator(2_000)


def _with_period(filters: QueueFilters) -> QueueFilters:
    until = filters.until or timezone.now().date()
    since = filters.since or until - timedelta(days=DEFAULT_DAYS - 1)
    return replace(filters, since=max(since, until - timedelta(days=MOST_DAYS)), until=until)


def _counts(filters: QueueFilters) -> QuerySet[DailyCount]:
    rows = DailyCount.objects.filter(day__gte=filters.since, day__lte=filters.until)
    if filters.campaign:
        campaign = Campaign.objects.filter(slug=filters.campaign).first()
        rows = rows.filter(campaign=str(campaign.pk) if campaign is not None else "?")
    narrowed = {name: getattr(filters, name) for name in ("card", "variant", "language", "questionnaire")}
    return rows.filter(**{name: value for name, value in narrowed.items() if value}).order_by()


def _summed(rows: QuerySet[DailyCount], *names: str) -> dict[tuple[Any, ...], int]:
    totals = rows.values_list(*names).annotate(total=Sum("count"))
    return {tuple(key): total for *key, total in totals if total}


def _added(counts: Mapping[tuple[Any, ...], int], *places: int) -> Counter[Any]:
    """The counts summed over all but these places of their keys; one place alone is the key itself."""
    added: Counter[Any] = Counter()
    for key, count in counts.items():
        added[key[places[0]] if len(places) == 1 else tuple(key[place] for place in places)] += count
    return added


def _periods(rows: QuerySet[DailyCount], filters: QueueFilters) -> list[Period]:
    """By day, or by week where that many days would not be legible."""
    assert filters.since is not None
    assert filters.until is not None
    step = 1 if (filters.until - filters.since).days <= _WEEKLY_BEYOND else 7
    per_start: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for (day, flow), count in _summed(rows, "day", "flow").items():
        per_start[filters.since + timedelta(days=(day - filters.since).days // step * step)][flow] += count
    periods = []
    start = filters.since
    while start <= filters.until:
        counts = per_start[start]
        end = min(filters.until, start + timedelta(days=step - 1))
        decided = sum(count for flow, count in counts.items() if flow != Flow.ENTERED)
        part = replace(filters, since=start, until=end)
        queries = part.query(), _decided(part).query()
        periods.append(Period(start.isoformat(), counts[Flow.ENTERED], decided, counts[Flow.ACCEPT], *queries))
        start = end + timedelta(days=1)
    return periods


def _decided(filters: QueueFilters) -> QueueFilters:
    """The rows that were decided in the period, whenever they entered."""
    return replace(
        filters,
        state="decided",
        since=None,
        until=None,
        decided_since=filters.since,
        decided_until=filters.until,
    )


def _backlog(filters: QueueFilters) -> list[Line]:
    """What is open now, by how long it has waited; the period does not narrow it."""
    today = timezone.now().date()
    items = ReviewItem.objects.order_by()
    narrow = replace(filters, since=None, until=None, outcome="", reason="", state="open")
    lines = []
    for young, old in pairwise((0, *_AGES, None)):
        assert young is not None
        since = today - timedelta(days=old - 1) if old is not None else None
        of_age = replace(narrow, until=today - timedelta(days=young), since=since)
        # Three walks along an index in one query, which counts and compares nothing.
        lines.append(Line(_age(young, old), of_age.narrow(items).count(), of_age.query()))
    return lines


def _age(young: int, old: int | None) -> str:
    if young == 0:
        return _("entered today")
    if old is None:
        return _("%(days)d days ago and before") % {"days": young}
    return _("%(low)d to %(high)d days ago") % {"low": young, "high": old - 1}


def _outcomes(by_flow: Mapping[str, int], decided: int, filters: QueueFilters) -> list[Line]:
    lines = []
    for flow in Flow:
        count = by_flow.get(flow, 0)
        if flow != Flow.ENTERED and count:
            query = replace(_decided(filters), outcome=flow.value).query()
            lines.append(Line(str(flow.label), count, query, Share(count, decided)))
    return lines


def _reasons(rejected: Mapping[tuple[Any, ...], int], filters: QueueFilters) -> list[Line]:
    counts = _added(rejected, 1)
    total = sum(counts.values())
    labels = dict(Reason.choices)
    lines = []
    for reason, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        label = str(labels.get(reason, reason or _("none")))
        lines.append(Line(label, count, replace(_decided(filters), reason=reason).query(), Share(count, total)))
    return lines


def _times(by_verdict: Mapping[tuple[Any, ...], int], decided: int, filters: QueueFilters) -> list[Line]:
    counts = _added(by_verdict, 2)
    lines = []
    for place, label in enumerate_times():
        count = counts[int(place)]
        lines.append(Line(label, count, replace(_decided(filters), took=place).query(), Share(count, decided)))
    return lines


def _breakdowns(rows: QuerySet[DailyCount], filters: QueueFilters) -> Iterator[Breakdown]:
    # A card has few variants: both are told from one walk.
    of_models = _summed(rows, "card", "variant", "flow")
    for name, title in _BREAKDOWNS:
        match name:
            case "card":
                counts = _added(of_models, 0, 2)
            case "variant":
                counts = _added(of_models, 1, 2)
            case _:
                counts = Counter(_summed(rows, name, "flow"))
        yield _breakdown(counts, name, str(title), filters)


def _breakdown(counts: Mapping[Any, int], name: str, title: str, filters: QueueFilters) -> Breakdown:
    entered: Counter[Any] = Counter()
    decided: Counter[Any] = Counter()
    accepted: Counter[Any] = Counter()
    for (value, flow), count in counts.items():
        if value in (0, ""):
            continue
        if flow == Flow.ENTERED:
            entered[value] += count
        else:
            decided[value] += count
            accepted[value] += count if flow == Flow.ACCEPT else 0
    values = [value for value, _n in (entered + decided).most_common(MOST_ROWS)]
    names = _names(name, values)
    lines = []
    for value in values:
        label, key = names.get(value, (str(value), value))
        part = replace(filters, **{name: key})
        queries = part.query(), _decided(part).query()
        lines.append(Line(label, entered[value], queries[0], Share(accepted[value], decided[value]), queries[1]))
    return Breakdown(title, lines, shares([(line.label, line.share, line.share_query) for line in lines]))


def _names(name: str, values: list[Any]) -> dict[Any, tuple[str, Any]]:
    """value → (label, what the filter takes), in one query."""
    match name:
        case "card":
            return {card.pk: (card.name, card.pk) for card in ModelCard.objects.filter(pk__in=values)}
        case "variant":
            variants = Variant.objects.select_related("card").filter(pk__in=values)
            return {variant.pk: (variant.model_id, variant.pk) for variant in variants}
        case "campaign":
            campaigns = Campaign.objects.filter(pk__in=values)
            return {str(campaign.pk): (campaign.title, campaign.slug) for campaign in campaigns}
        case "questionnaire":
            return {value: (str(vote_form_name(value) or value), value) for value in values}
    return {value: (value, value) for value in values}
