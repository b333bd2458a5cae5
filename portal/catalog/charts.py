"""Geometry of the charts about weights: numbers in, bars of an SVG out. The same numbers stand in a table beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

WIDTH: Final = 640
HEIGHT: Final = 200
GROUND: Final = 176
_LEFT: Final = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar in the units of the SVG's view, and what it says when pointed at."""

    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with the texts under their first, middle and last place, and the highest bar's value."""

    bars: tuple[Bar, ...]
    first: str
    middle: str
    last: str
    highest: str
    rows: tuple[tuple[str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    ground: int = GROUND


def histogram_chart(edges: Sequence[float], counts: Sequence[int]) -> Chart:
    """How often values fall between each two edges."""
    rows = [(f"{short(a)} … {short(b)}", f"{n:,}") for (a, b), n in zip(pairwise(edges), counts, strict=True)]
    return Chart(
        bars=_bars(counts, [f"{span}: {count}" for span, count in rows]),
        first=short(edges[0]),
        middle=short((edges[0] + edges[-1]) / 2),
        last=short(edges[-1]),
        highest=f"{max(counts):,}",
        rows=tuple(rows),
    )


def layer_chart(layers: Sequence[dict[str, Any]]) -> Chart | None:
    """How far each layer moved; None for a model without layers."""
    numbered = [layer for layer in layers if layer["name"] and layer["relative"] is not None]
    if not numbered:
        return None
    rows = [(layer["name"], percent(layer["relative"])) for layer in numbered]
    values = [layer["relative"] for layer in numbered]
    names = [layer["name"] for layer in numbered]
    return Chart(
        bars=_bars(values, [f"{name}: {value}" for name, value in rows]),
        first=names[0],
        middle=names[len(names) // 2] if len(names) > 2 else "",
        last=names[-1] if len(names) > 1 else "",
        highest=percent(max(values)),
        rows=tuple(rows),
    )


def short(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}", 1) if value < 0 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share with three significant digits, which tell small ones apart and stand below each other."""
    return f"{f'{100 * share:#.3g}'.rstrip('.')} %"


def _bars(values: Sequence[float], titles: Sequence[str]) -> tuple[Bar, ...]:
    step = (WIDTH - 2 * _LEFT) / len(values)
    top = max(values) or 1
    bars = []
    for place, (value, title) in enumerate(zip(values, titles, strict=True)):
        height = (GROUND - 20) * value / top
        if value and height < 1:
            height = 1.0  # something is there
        bars.append(
            Bar(
                x=f"{_LEFT + place * step:.2f}",
                y=f"{GROUND - height:.2f}",
                width=f"{max(step - 1, 0.5):.2f}",
                height=f"{height:.2f}",
                title=title,
            )
        )
    return tuple(bars)
