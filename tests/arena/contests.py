"""Contests, comparisons and votes for tests, made as rows: what the services do is tested by their own tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from portal.accounts.models import User
from portal.arena.models import Comparison, Contender, Contest, Kind, Outcome, Pool, Reply, Vote
from portal.catalog.models import Variant
from portal.playground.models import ACTIVE_STATES, Generation, State
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
        contender = Contender.objects.create(
            contest=contest, position=position, variant=variant, params=DEFAULTS, conversation=conversation
        )
        run = add_turn(conversation, variant, prompt=prompt, output=f"Answer {'ABCD'[position]}.")
        Reply.objects.create(contender=contender, turn=1, generation=run)
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


def finish(contest: Contest, *outputs: str, **columns: Any) -> None:
    """What workers do: every answer under way ends, from left to right with these texts."""
    under_way = Generation.objects.filter(reply__contender__contest=contest, state__in=ACTIVE_STATES)
    columns = {"state": State.SUCCEEDED, "finish_reason": "stop", "finished_at": timezone.now()} | columns
    for generation, output in zip(under_way.order_by("reply__contender__position"), outputs, strict=True):
        Generation.objects.filter(pk=generation.pk).update(
            output=output,
            lease_expires_at=None,
            claimed_by="",
            usage={"prompt_tokens": 7, "completion_tokens": 1234},
            timings={"first_token_s": 7654.0, "decode_s": 987.6},
            **columns,
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


def add_votes(pairs: Iterable[tuple[Variant, Variant, Outcome]], **columns: Any) -> list[Vote]:
    """Ranked votes whose texts are gone, which is all that a ranking reads."""
    columns = {"pool": Pool.objects.get(slug="models"), "kind": Kind.BATTLE} | columns
    return Vote.objects.bulk_create(
        Vote(variant_a=one, variant_b=other, outcome=outcome, **columns) for one, other, outcome in pairs
    )
