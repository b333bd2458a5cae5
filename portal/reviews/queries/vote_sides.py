"""A vote's two conversations as a reviewer reads them: without names at first, as the voter of a battle did."""

from __future__ import annotations

from dataclasses import dataclass

from portal.arena.models import Comparison, Outcome, Vote
from portal.arena.queries import turns_of
from portal.catalog.models import Variant
from portal.playground.models import Generation


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two. `variant` is None as long as the names are hidden."""

    letter: str
    is_preferred: bool
    variant: Variant | None
    turns: tuple[Generation, ...]


def sides_of(vote: Vote, *, is_named: bool) -> list[Side]:
    """Left and right, up to the turn that was voted on; none when the texts are deleted or the vote is withdrawn."""
    comparison = vote.comparison
    if comparison is None or vote.is_withdrawn:
        return []
    left, right = _runs(comparison)
    named = (vote.variant_a, vote.variant_b) if is_named else (None, None)
    return [
        Side("A", vote.outcome == Outcome.A, named[0], left),
        Side("B", vote.outcome == Outcome.B, named[1], right),
    ]


def _runs(comparison: Comparison) -> tuple[tuple[Generation, ...], tuple[Generation, ...]]:
    turns = [turn for turn in turns_of(comparison.contest) if turn.number <= comparison.turn]
    replies = [reply for turn in turns for reply in turn.replies]
    side = {reply.generation_id: reply.contender.position for reply in replies}

    def of(position: int | None) -> tuple[Generation, ...]:
        return tuple(reply.generation for reply in replies if reply.contender.position == position)

    return of(side.get(comparison.generation_a_id)), of(side.get(comparison.generation_b_id))
