"""What a page may show of a turn: while a battle is blind, texts and states without a trace of who wrote them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from django.utils.safestring import SafeString

from portal.arena.models import Contender, Contest, Outcome, Reply, Vote
from portal.arena.queries import Turn
from portal.catalog.markdown import render_markdown
from portal.catalog.text_comparison import Segment, compare_texts
from portal.playground.models import Generation, State
from portal.playground.parameter_fields import PARAMETERS, parameters_as_typed


@dataclass(frozen=True, slots=True)
class ShownReply:
    """One side of a turn. `run` and `reply` are None as long as the names are hidden."""

    letter: str
    output: str
    is_active: bool
    has_failed: bool
    is_best: bool
    run: Generation | None
    reply: Reply | None

    @property
    def html(self) -> SafeString:
        return render_markdown(self.output)


@dataclass(frozen=True, slots=True)
class ShownComparison:
    """Two sides that were voted on."""

    id: uuid.UUID
    letters: tuple[str, str]


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """One prompt and its replies from left to right, and what was said of them."""

    number: int
    prompt: str
    replies: tuple[ShownReply, ...]
    # One of them at least: which one would tell who is quicker.
    is_queued: bool
    is_active: bool
    is_votable: bool
    verdict: Outcome | None
    best_letter: str
    reasons: tuple[str, ...]
    comparisons: tuple[ShownComparison, ...]
    # They are reviewed one by one, and withdrawn together.
    votes: tuple[Vote, ...]

    @property
    def vote(self) -> Vote | None:
        """One of those that were given on it."""
        return self.votes[0] if self.votes else None

    @property
    def is_voted(self) -> bool:
        return bool(self.best_letter) or self.verdict is not None


def show_turn(contest: Contest, turn: Turn) -> ShownTurn:
    verdict = turn.verdict
    best = verdict if isinstance(verdict, Reply) else None
    return ShownTurn(
        number=turn.number,
        prompt=turn.prompt,
        replies=tuple(_show(contest, reply, turn, is_best=reply == best) for reply in turn.replies),
        is_queued=turn.is_queued,
        is_active=turn.is_active,
        is_votable=turn.is_votable and not turn.votes,
        verdict=verdict if isinstance(verdict, Outcome) else None,
        best_letter=best.contender.letter if best is not None else "",
        reasons=tuple(turn.votes[0].reasons) if turn.votes else (),
        comparisons=_compared(turn),
        votes=turn.votes,
    )


def _compared(turn: Turn) -> tuple[ShownComparison, ...]:
    letters = {reply.generation_id: reply.contender.letter for reply in turn.replies}
    found = [vote.comparison for vote in turn.votes if vote.comparison is not None]
    compared = ((letters[each.generation_a_id], letters[each.generation_b_id], each.pk) for each in found)
    return tuple(ShownComparison(key, (one, other)) for one, other, key in sorted(compared))


def _show(contest: Contest, reply: Reply, turn: Turn, *, is_best: bool) -> ShownReply:
    run = reply.generation
    # One side that ends first would tell who is quicker: a blind turn is whole, or not there yet.
    is_active = turn.is_active if contest.is_blind else run.is_active
    return ShownReply(
        letter=reply.contender.letter,
        output="" if is_active else run.output,
        is_active=is_active,
        has_failed=run.state == State.FAILED and not is_active,
        is_best=is_best,
        run=None if contest.is_blind else run,
        reply=None if contest.is_blind else reply,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What the second answer took away from the first and added to it; no segments where they are equal."""

    first: str
    second: str
    segments: tuple[Segment, ...]


def differences(turn: ShownTurn) -> list[Difference]:
    """Each answer against each other one, word by word."""
    return [
        Difference(one.letter, other.letter, tuple(compare_texts(one.output, other.output)))
        for one, other in combinations(turn.replies, 2)
    ]


def differing_settings(contenders: Sequence[Contender]) -> dict[str, list[tuple[str, str]]]:
    """For each contender by its letter, the (parameter, value) in which it is not like all others, as typed; seeds that
    were drawn are no setting."""
    typed = {each.letter: parameters_as_typed(each.params) for each in contenders}
    differing = [name for name in PARAMETERS if len({values[name] for values in typed.values()}) > 1]
    return {letter: [(name, values[name] or "-") for name in differing] for letter, values in typed.items()}
