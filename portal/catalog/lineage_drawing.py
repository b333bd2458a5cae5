"""Places a lineage on a sheet: a column for each generation, boxes below each other, curves between them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal.catalog.lineage import Lineage, LineageEdge, LineageNode

WIDTH: Final = 196
HEIGHT: Final = 44
GAP_X: Final = 64
GAP_Y: Final = 16
MARGIN: Final = 8
# Of the widest letters, so that none leaves its box.
MAX_TITLE: Final = 22


@dataclass(frozen=True, slots=True)
class Box:
    """A node in its place; texts are cut to what fits."""

    node: LineageNode
    x: int
    y: int

    @property
    def title(self) -> str:
        # Whose it is says less than what it is, and both do not fit.
        title = self.node.title.rpartition("/")[2] if self.node.kind == "outside" else self.node.title
        return _cut(title, MAX_TITLE)

    @property
    def text_x(self) -> int:
        return self.x + 10

    @property
    def title_y(self) -> int:
        return self.y + 18

    @property
    def note_y(self) -> int:
        return self.y + 34


@dataclass(frozen=True, slots=True)
class Curve:
    """An edge as an SVG path; one that leads back is drawn as a circle's."""

    edge: LineageEdge
    path: str
    leads_back: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything in its place, in pixels."""

    width: int
    height: int
    boxes: list[Box]
    curves: list[Curve]
    box_width: int = WIDTH
    box_height: int = HEIGHT


def draw_lineage(lineage: Lineage) -> Drawing:
    """Lay out the graph."""
    levels = lineage.levels
    tallest = max(len(nodes) for _level, nodes in levels)
    height = 2 * MARGIN + tallest * HEIGHT + (tallest - 1) * GAP_Y
    boxes: dict[str, Box] = {}
    for column, (_level, nodes) in enumerate(levels):
        taken = len(nodes) * HEIGHT + (len(nodes) - 1) * GAP_Y
        top = (height - taken) // 2
        x = MARGIN + column * (WIDTH + GAP_X)
        for row, node in enumerate(nodes):
            boxes[node.key] = Box(node, x, top + row * (HEIGHT + GAP_Y))
    circles = lineage.circles
    curves = [
        Curve(edge, _path(boxes[edge.source], boxes[edge.target], back=edge in circles), edge in circles)
        for edge in lineage.edges.values()
    ]
    width = 2 * MARGIN + len(levels) * WIDTH + (len(levels) - 1) * GAP_X
    return Drawing(width, height, list(boxes.values()), curves)


def _path(source: Box, target: Box, *, back: bool) -> str:
    """From the right edge of one box to the left edge of the other; back along the top."""
    if back:
        start_x, end_x, top = source.x + WIDTH // 2, target.x + WIDTH // 2, min(source.y, target.y) - 6
        if source is target:
            start_x, end_x = source.x + WIDTH // 3, source.x + 2 * WIDTH // 3
        return f"M{start_x} {source.y}C{start_x} {top} {end_x} {top} {end_x} {target.y}"
    start_x, start_y = source.x + WIDTH, source.y + HEIGHT // 2
    end_x, end_y = target.x, target.y + HEIGHT // 2
    middle = (start_x + end_x) // 2
    return f"M{start_x} {start_y}C{middle} {start_y} {middle} {end_y} {end_x} {end_y}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
