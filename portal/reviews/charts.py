"""The geometry of the charts of reviewing; templates draw it as SVG and put the same numbers in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 720
HEIGHT: Final = 200
LEFT: Final = 48
BOTTOM: Final = 24
TOP: Final = 8
LABEL_WIDTH: Final = 220
ROW: Final = 24
MARGIN: Final = 16
LABEL_CHARACTERS: Final = 30
GRID_LEFT: Final = 90
CELL_WIDTH: Final = 90
# “100 % of 10000” beside the longest bar.
SHARE_WORDS_WIDTH: Final = 130


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: str
    title: str
    # The address's query of the rows behind it.
    query: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Upright bars over time, one group per day or week."""

    bars: list[Bar]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def columns(labels: Sequence[str], series: Sequence[tuple[str, str, Sequence[tuple[int, str]]]]) -> Columns:
    """`series` is (letter of the colour, name, a number and its rows' query per label)."""
    top = nice_ceiling(max((number for _letter, _name, numbers in series for number, _query in numbers), default=0))
    base, room = HEIGHT - BOTTOM, WIDTH - LEFT
    step = room / max(1, len(labels))
    width = max(0.5, step * 0.8 / max(1, len(series)))
    bars = []
    for place, (letter, name, numbers) in enumerate(series):
        for index, (number, query) in enumerate(numbers):
            height = (base - TOP) * number / top
            x = LEFT + index * step + step * 0.1 + place * width
            bars.append(
                Bar(_r(x), _r(base - height), _r(width), _r(height), letter, f"{labels[index]}: {name} {number}", query)
            )
    every = max(1, len(labels) // 6)
    x_ticks = [Tick(_r(LEFT + (index + 0.5) * step), labels[index]) for index in range(0, len(labels), every)]
    # What is counted is whole: half of 5 is no number of items.
    numbers_shown = range(0, top + 1, top // 2 if top % 2 == 0 else 1)
    y_ticks = [Tick(_r(base - (base - TOP) * number / top), str(number)) for number in numbers_shown]
    return Columns(bars, x_ticks, y_ticks)


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One lying bar of a share with its interval."""

    label: str
    y: float
    width: float
    low: float
    high: float
    text: str
    query: str


@dataclass(frozen=True, slots=True)
class Shares:
    rows: list[ShareRow]
    height: int
    width: int = WIDTH
    label_width: int = LABEL_WIDTH
    row_height: int = ROW


def shares(rows: Sequence[tuple[str, Any, str]]) -> Shares:
    """`rows` is (label, Share, query of the rows behind it); those of nothing are left out."""
    room = WIDTH - LABEL_WIDTH - SHARE_WORDS_WIDTH
    drawn: list[ShareRow] = []
    for label, share, query in rows:
        if share.whole:
            text = f"{share.percent:.0f} % of {share.whole}"
            drawn.append(
                ShareRow(
                    shortened(label),
                    len(drawn) * ROW,
                    _r(room * share.percent / 100),
                    _r(LABEL_WIDTH + room * share.low / 100),
                    _r(LABEL_WIDTH + room * share.high / 100),
                    text,
                    query,
                )
            )
    return Shares(drawn, max(1, len(drawn)) * ROW)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One line of a plot of estimates: a point, with its interval where there is one."""

    label: str
    y: float
    point: float
    low: float | None
    high: float | None
    title: str


@dataclass(frozen=True, slots=True)
class Estimates:
    """Points with intervals above one scale, whose right end is 1."""

    rows: list[Estimate]
    ticks: list[Tick]
    zero: float
    height: int
    width: int = WIDTH
    label_width: int = LABEL_WIDTH

    @property
    def axis(self) -> int:
        return self.height - BOTTOM


def estimates(rows: Sequence[tuple[str, float | None, float | None, float | None]]) -> Estimates:
    """`rows` is (label, estimate, low, high) of coefficients up to 1; what is not defined is left out.

    The scale reaches down to 0, or to the lowest end of an interval in steps of a half.
    """
    shown = [row for row in rows if row[1] is not None]
    least = min((edge for _label, *edges in shown for edge in edges if edge is not None), default=0.0)
    bottom = min(0.0, math.floor(2 * least) / 2)
    left, room = LABEL_WIDTH, WIDTH - LABEL_WIDTH - MARGIN

    def x(value: float) -> float:
        return _r(left + room * (value - bottom) / (1 - bottom))

    drawn = []
    for number, (label, value, low, high) in enumerate(shown):
        assert value is not None
        interval = "" if low is None or high is None else f" ({low:.3f} … {high:.3f})"
        drawn.append(
            Estimate(
                shortened(label),
                number * ROW,
                x(value),
                None if low is None else x(low),
                None if high is None else x(high),
                f"{label}: {value:.3f}{interval}",
            )
        )
    steps = round((1 - bottom) * 2)
    ticks = [Tick(x(bottom + step / 2), f"{bottom + step / 2:.1f}") for step in range(steps + 1)]
    return Estimates(drawn, ticks, x(0), max(1, len(drawn)) * ROW + BOTTOM)


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell of a grid of counts; `weight` is its share of the fullest one, from 0 to 1.

    It is painted so strongly, up to half: the number upon it stays legible, light or dark.
    """

    x: float
    y: float
    count: int
    weight: float
    is_diagonal: bool
    title: str

    @property
    def opacity(self) -> float:
        return round(self.weight / 2, 2)


@dataclass(frozen=True, slots=True)
class HeatGrid:
    cells: list[HeatCell]
    rows: list[Tick]
    columns: list[Tick]
    height: int
    width: int
    cell_width: int = CELL_WIDTH
    cell_height: int = ROW


def heat_grid(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> HeatGrid:
    """Counts of what one said (rows) while the other said (columns); the same labels both ways."""
    most = max((count for row in counts for count in row), default=0) or 1
    cells = [
        HeatCell(
            GRID_LEFT + column * CELL_WIDTH,
            (row + 1) * ROW,
            count,
            round(count / most, 2),
            row == column,
            f"{labels[row]} · {labels[column]}: {count}",
        )
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
    ]
    return HeatGrid(
        cells,
        [Tick((row + 1) * ROW, label) for row, label in enumerate(labels)],
        [Tick(GRID_LEFT + (column + 0.5) * CELL_WIDTH, label) for column, label in enumerate(labels)],
        (len(labels) + 1) * ROW,
        GRID_LEFT + len(labels) * CELL_WIDTH,
    )


def shortened(label: str) -> str:
    """As much of a label as has room beside a chart."""
    return label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"


def nice_ceiling(number: int) -> int:
    """The next number of the form 1, 2 or 5 times a power of ten, so that an axis ends at a round value."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= max(1, number):
                return step * power
        power *= 10


def _r(value: float) -> float:
    return round(value, 1)
