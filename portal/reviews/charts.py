"""The geometry of the overview's charts; templates draw it as SVG and put the same numbers in a table."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: str
    title: str


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


def columns(labels: Sequence[str], series: Sequence[tuple[str, str, Sequence[int]]]) -> Columns:
    """`series` is (letter of the colour, name, one number per label)."""
    top = nice_ceiling(max((max(numbers, default=0) for _letter, _name, numbers in series), default=0))
    base, room = HEIGHT - BOTTOM, WIDTH - LEFT
    step = room / max(1, len(labels))
    width = max(0.5, step * 0.8 / max(1, len(series)))
    bars = []
    for place, (letter, name, numbers) in enumerate(series):
        for index, number in enumerate(numbers):
            height = (base - TOP) * number / top
            x = LEFT + index * step + step * 0.1 + place * width
            bars.append(
                Bar(_r(x), _r(base - height), _r(width), _r(height), letter, f"{labels[index]}: {name} {number}")
            )
    every = max(1, len(labels) // 6)
    x_ticks = [Tick(_r(LEFT + (index + 0.5) * step), labels[index]) for index in range(0, len(labels), every)]
    y_ticks = [Tick(_r(base - (base - TOP) * part / 2), str(round(top * part / 2))) for part in range(3)]
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


@dataclass(frozen=True, slots=True)
class Shares:
    rows: list[ShareRow]
    height: int
    width: int = WIDTH
    label_width: int = LABEL_WIDTH
    row_height: int = ROW


def shares(rows: Sequence[tuple[str, Any]]) -> Shares:
    """`rows` is (label, Share); those of nothing are left out."""
    room = WIDTH - LABEL_WIDTH - 60
    drawn: list[ShareRow] = []
    for label, share in rows:
        if share.whole:
            text = f"{share.percent:.0f} % of {share.whole}"
            drawn.append(
                ShareRow(
                    label[:34],
                    len(drawn) * ROW,
                    _r(room * share.percent / 100),
                    _r(LABEL_WIDTH + room * share.low / 100),
                    _r(LABEL_WIDTH + room * share.high / 100),
                    text,
                )
            )
    return Shares(drawn, max(1, len(drawn)) * ROW)


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
