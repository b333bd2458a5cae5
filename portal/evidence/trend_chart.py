"""Months of thumbs as a chart: a point with its interval for each, in pixels. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portal.evidence.queries import MonthRow

HEIGHT: Final = 180
TOP: Final = 12
BOTTOM: Final = 28
LEFT: Final = 44
STEP: Final = 44
GRID: Final = (0, 25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class Point:
    """One month: where its share stands, and from where to where its interval reaches."""

    row: MonthRow
    x: float
    y: float
    low_y: float
    high_y: float


@dataclass(frozen=True, slots=True)
class TrendChart:
    """Points, and lines of the scale with their percentages."""

    width: int
    points: tuple[Point, ...]
    line: str
    grid: tuple[tuple[int, float, float], ...]
    height: int = HEIGHT
    left: int = LEFT
    label_y: int = HEIGHT - 8


def draw_trend(rows: Sequence[MonthRow]) -> TrendChart | None:
    """None for fewer than two months: there is no trend in one."""
    if len(rows) < 2:
        return None
    points = tuple(_point(row, LEFT + STEP // 2 + STEP * index) for index, row in enumerate(rows))
    line = "M" + "L".join(f"{point.x:.1f} {point.y:.1f}" for point in points)
    return TrendChart(
        LEFT + STEP * len(rows), points, line, tuple((each, _y(each / 100), _y(each / 100) + 4) for each in GRID)
    )


def _point(row: MonthRow, x: float) -> Point:
    low, high = row.thumbs.interval
    return Point(row, x, _y(row.thumbs.value or 0.0), _y(low), _y(high))


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)
