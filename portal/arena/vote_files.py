"""The votes behind a ranking as files: JSON Lines and CSV, in pieces. No person is in them, and no text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from portal.arena.models import Vote
from portal.arena.ranking import Filters
from portal.arena.style_counts import FEATURES
from portal.catalog.models import Variant

ROWS_PER_PIECE: Final = 1_000
COLUMNS: Final = (
    "id", "created_at", "pool", "model_a", "model_b", "outcome", "turns", "language", "category", "hardness",
    *(f"{feature}_{side}" for side in ("a", "b") for feature in FEATURES), "prompt_digest", "review_state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VoteFormat:
    """How rows become text, with what comes before the first."""

    media_type: str
    header: str
    encode: Callable[[list[dict[str, Any]]], str]


def vote_pieces(filters: Filters, form: VoteFormat) -> Iterator[str]:
    """The file's text, ROWS_PER_PIECE votes at a time in the order in which they were given."""
    if form.header:
        yield form.header
    last: tuple[Any, Any] | None = None
    ordered = filters.votes().select_related("variant_a__card", "variant_b__card", "pool").order_by("created_at", "pk")
    while True:
        # A cursor would hold its transaction for as long as the client takes to read.
        page = list(_behind(ordered, last)[:ROWS_PER_PIECE])
        if not page:
            return
        yield form.encode([vote_row(vote) for vote in page])
        last = (page[-1].created_at, page[-1].pk)


def _behind(votes: Any, last: tuple[Any, Any] | None) -> Any:
    if last is None:
        return votes
    created_at, key = last
    return votes.filter(created_at__gte=created_at).exclude(created_at=created_at, pk__lte=key)


def vote_row(vote: Vote) -> dict[str, Any]:
    styles = {
        f"{feature}_{side}": style.get(feature, 0)
        for side, style in (("a", vote.style_a), ("b", vote.style_b))
        for feature in FEATURES
    }
    return {
        "id": str(vote.pk),
        "created_at": vote.created_at.isoformat(),
        "pool": vote.pool.slug if vote.pool is not None else "",
        "model_a": _name(vote.variant_a),
        "model_b": _name(vote.variant_b),
        "outcome": vote.outcome,
        "turns": vote.turns,
        "language": vote.language,
        "category": vote.category,
        "hardness": vote.hardness,
        **styles,
        "prompt_digest": vote.prompt_digest,
        "review_state": vote.review_state,
    }


def _name(variant: Variant) -> str:
    # As the leaderboard has it: a card that is not shown is not named.
    return variant.model_id if variant.card.is_published else f"#{variant.pk}"


def _json_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False, separators=(',', ':'))}\n" for row in rows)


def _csv(lines: Iterator[list[Any]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(lines)
    return buffer.getvalue()


VOTE_FORMATS: Final = {
    "jsonl": VoteFormat("application/jsonl", "", _json_lines),
    # No cell can begin like a formula: names begin with a letter, a digit or #, the rest are our own words and numbers.
    "csv": VoteFormat(
        "text/csv",
        _csv(iter([list(COLUMNS)])),
        lambda rows: _csv([row[column] for column in COLUMNS] for row in rows),
    ),
}
