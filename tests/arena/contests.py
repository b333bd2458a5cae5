"""Contests, comparisons and votes for tests, made as rows: what the services do is tested by their own tests."""

from __future__ import annotations

import uuid
from typing import Any

from portal.accounts.models import User
from portal.arena.models import Comparison, Contender, Contest, Kind, Outcome, Pool, Vote
from portal.catalog.models import Variant
from tests.playground.turns import DEFAULTS, actor_of, add_turn, make_conversation


def make_contest(
    owner: User | uuid.UUID, variants: list[Variant], kind: Kind = Kind.BATTLE, *, prompt: str = "Hello", **columns: Any
) -> Contest:
    """A contest with one finished turn; a battle is blind, its conversations sealed."""
    if kind == Kind.BATTLE:
        columns = {"pool": Pool.objects.get(slug="models"), "sealed_as": uuid.uuid4()} | columns
    contest = Contest.objects.create(kind=kind, **actor_of(owner).ownership(), **columns)
    for position, variant in enumerate(variants):
        conversation = make_conversation(contest.sealed_as or owner, prompt, is_listed=False)
        Contender.objects.create(
            contest=contest, position=position, variant=variant, params=DEFAULTS, conversation=conversation
        )
        add_turn(conversation, variant, prompt=prompt, output=f"Answer {'ABCD'[position]}.")
    return contest


def compare(contest: Contest, *, positions: tuple[int, int] = (0, 1)) -> Comparison:
    first, second = (contest.contenders.get(position=each).conversation.generations.get() for each in positions)
    return Comparison.objects.create(
        contest=contest,
        kind=contest.kind,
        owner=contest.owner,
        visitor=contest.visitor,
        generation_a=first,
        generation_b=second,
        turn=1,
    )


def make_vote(comparison: Comparison, outcome: Outcome = Outcome.A, **columns: Any) -> Vote:
    columns = {"owner": comparison.owner, "visitor": comparison.visitor} | columns
    return Vote.objects.create(
        comparison=comparison,
        kind=comparison.kind,
        pool=comparison.contest.pool,
        variant_a=comparison.generation_a.variant,
        variant_b=comparison.generation_b.variant,
        outcome=outcome,
        **columns,
    )
