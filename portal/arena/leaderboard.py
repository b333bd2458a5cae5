"""The leaderboard as its page shows it: a stored ranking with names, a chart, and how old it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from portal.arena.bradley_terry import FEW_VOTES
from portal.arena.models import Category, Ranking, Vote
from portal.arena.ranking import PERIODS, Filters, HighWater
from portal.arena.tasks import refresh_rankings_soon, remember_ranking
from portal.catalog.models import Variant

# A reader is noted this often, so that reading does not write.
NOTE_READERS_EVERY: Final = timedelta(hours=1)
# The chart's own units.
CHART_WIDTH: Final = 760
LABEL_WIDTH: Final = 260
ROW_HEIGHT: Final = 28
MARGIN: Final = 24
TICK_STEPS: Final = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000)


@dataclass(frozen=True, slots=True)
class Row:
    """One model's line in the table and in the chart; without its variant and its name where its card is not shown."""

    variant: Variant | None
    name: str
    figures: Mapping[str, Any]
    starts_part: bool

    @property
    def short_name(self) -> str:
        """Without the owner: what tells variants apart stands at the end."""
        return self.name.rpartition("/")[2]

    @property
    def plain(self) -> Mapping[str, Any]:
        place: Mapping[str, Any] = self.figures["plain"]
        return place

    @property
    def styled(self) -> Mapping[str, Any] | None:
        place: Mapping[str, Any] | None = self.figures["styled"]
        return place

    @property
    def has_few(self) -> bool:
        return bool(self.figures["n"] < FEW_VOTES)


@dataclass(frozen=True, slots=True)
class Mark:
    """A row of the chart: a point with its interval, plain and, where there is one, with style held equal."""

    name: str
    y: float
    point: float
    lower: float
    upper: float
    styled_point: float | None = None
    styled_lower: float | None = None
    styled_upper: float | None = None

    @property
    def label_y(self) -> float:
        return self.y + 4

    @property
    def styled_y(self) -> float:
        return self.y + 7


@dataclass(frozen=True, slots=True)
class Chart:
    """Coordinates of a dot plot with intervals."""

    width: int
    height: int
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, int], ...]
    axis_y: float
    left: int = LABEL_WIDTH

    @property
    def tick_y(self) -> float:
        return self.axis_y + 16


@dataclass(frozen=True, slots=True)
class Cell:
    """What the row's model took from the column's, and how many votes say so; None on the diagonal or unmet."""

    pair: Mapping[str, Any] | None
    is_diagonal: bool


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """A ranking ready to be shown; without rows while it has not been computed or has no votes."""

    filters: Filters
    result: Mapping[str, Any] | None
    rows: tuple[Row, ...]
    chart: Chart | None
    matrix: tuple[tuple[Row, tuple[Cell, ...]], ...]
    computed_at: datetime | None
    # Of the filters, as they are now.
    votes: int
    is_current: bool

    @property
    def newer(self) -> int:
        """Votes that the ranking does not know yet."""
        return max(0, self.votes - (self.result["votes"] if self.result else 0))


def read_leaderboard(filters: Filters) -> Leaderboard:
    """The stored ranking of these votes. Where votes have come since, a worker is woken and the old one is shown."""
    high_water = HighWater.of(filters)
    if not high_water.votes:
        return Leaderboard(filters, None, (), None, (), None, votes=0, is_current=True)
    ranking = remember_ranking(filters)
    _note_reader(ranking)
    is_current = ranking.is_made_of(high_water.votes, high_water.changed_at)
    if not is_current:
        refresh_rankings_soon()
    # One that was made before the first vote has nothing to show.
    result = ranking.result if ranking.result and ranking.result["votes"] else None
    rows = _rows(result) if result else ()
    return Leaderboard(
        filters=filters,
        result=result,
        rows=rows,
        chart=draw_chart(rows) if rows else None,
        matrix=_matrix(rows, result) if result else (),
        computed_at=ranking.computed_at,
        votes=high_water.votes,
        is_current=is_current,
    )


def read_filters(query: Mapping[str, Any], pool: str) -> Filters:
    """What an address asks for; what it says wrongly does not narrow."""
    variant = str(query.get("variant", ""))
    days = str(query.get("days", ""))
    language = str(query.get("language", ""))
    category = str(query.get("category", ""))
    return Filters(
        pool=pool,
        language=language if language.isalpha() and language.isascii() and len(language) <= 3 else "",
        category=category if category in Category.values else "",
        is_hard=query.get("hard") == "1",
        variant=int(variant) if variant.isascii() and variant.isdigit() and len(variant) <= 18 else None,
        days=int(days) if days in {str(period) for period in PERIODS} else None,
        accepted_only=query.get("accepted") == "1",
    )


def unknown_filters(query: Mapping[str, Any], filters: Filters) -> list[str]:
    """The names in an address that say nothing which could narrow: `filters` are what was read of it."""
    understood = {
        "category": bool(filters.category),
        "language": bool(filters.language),
        "variant": filters.variant is not None,
        "days": filters.days is not None,
        "hard": filters.is_hard,
        "accepted": filters.accepted_only,
    }
    return [name for name, is_understood in understood.items() if name in query and not is_understood]


def voted_choices(pool: str) -> tuple[list[str], list[Variant]]:
    """The languages that votes of the pool have, and the variants of shown cards that they judge."""
    # One look at all votes instead of one for each column.
    votes = Vote.objects.filter(pool__slug=pool).order_by().values_list("language", "variant_a", "variant_b").distinct()
    languages: set[str] = set()
    ids: set[int] = set()
    for language, *pair in votes:
        languages.add(language)
        ids.update(pair)
    shown = Variant.objects.select_related("card").filter(pk__in=ids, card__is_published=True)
    return sorted(languages), sorted(shown, key=lambda each: each.model_id)


def _note_reader(ranking: Ranking) -> None:
    now = timezone.now()
    if ranking.asked_at < now - NOTE_READERS_EVERY:
        Ranking.objects.filter(pk=ranking.pk).update(asked_at=now)


def _rows(result: Mapping[str, Any]) -> tuple[Row, ...]:
    shown = Variant.objects.select_related("card").filter(card__is_published=True)
    variants = shown.in_bulk([each["variant"] for each in result["models"]])
    rows = []
    part = 0
    for each in result["models"]:
        variant = variants.get(each["variant"])
        rows.append(
            Row(variant, variant.model_id if variant else f"#{each['variant']}", each, starts_part=each["part"] != part)
        )
        part = each["part"]
    return tuple(rows)


def _matrix(rows: tuple[Row, ...], result: Mapping[str, Any]) -> tuple[tuple[Row, tuple[Cell, ...]], ...]:
    pairs = {(pair["variant"], pair["against"]): pair for pair in result["pairs"]}
    keys = [row.figures["variant"] for row in rows]
    return tuple(
        (row, tuple(Cell(pairs.get((one, other)), one == other) for other in keys))
        for row, one in zip(rows, keys, strict=True)
    )


def draw_chart(rows: tuple[Row, ...]) -> Chart:
    """Where each model's point and interval stand; the scale takes in every interval."""
    places = [place for row in rows for place in (row.plain, row.styled) if place is not None]
    low = min(float(place["lower"]) for place in places)
    high = max(float(place["upper"]) for place in places)
    room = max(high - low, 1.0)
    low, high = low - 0.05 * room, high + 0.05 * room
    span = CHART_WIDTH - LABEL_WIDTH - MARGIN

    def x(value: float) -> float:
        return round(LABEL_WIDTH + span * (value - low) / (high - low), 1)

    marks = []
    for number, row in enumerate(rows):
        plain, styled = row.plain, row.styled
        marks.append(
            Mark(
                row.short_name,
                MARGIN + ROW_HEIGHT * number,
                *(x(plain[name]) for name in ("elo", "lower", "upper")),
                *((x(styled[name]) for name in ("elo", "lower", "upper")) if styled is not None else ()),
            )
        )
    step = next((step for step in TICK_STEPS if (high - low) / step <= 6), TICK_STEPS[-1])
    first = int(-(-low // step)) * step
    ticks = tuple((x(value), value) for value in range(first, int(high) + 1, step))
    axis_y = MARGIN + ROW_HEIGHT * len(rows)
    return Chart(CHART_WIDTH, axis_y + 28, tuple(marks), ticks, axis_y)
