"""What the arena's pages read: pools and who may meet in them, a contest's turns, how a turn was voted."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from portal.accounts.actors import Actor
from portal.arena.models import Contender, Contest, Kind, Outcome, Pairing, Pool, Reply, Vote
from portal.arena.pairing import Entrant, Pair, ordered, pair_weights
from portal.catalog.models import Gate, Variant
from portal.catalog.queries import runnable_variants
from portal.playground.models import State

# Large, and on no page: each turn's messages repeat all turns before it.
_NOT_SHOWN: Final = tuple(f"generation__{name}" for name in ("messages", "rendered_prompt", "provenance"))
_SAME_CARD: Final = {Pairing.CARDS: False, Pairing.PRECISIONS: True, Pairing.ANY: None}


def pools_with_newest_vote() -> list[Pool]:
    """All pools in their order, each with the time of its newest ranked vote as `newest_vote`."""
    ranked = Vote.objects.filter(pool=OuterRef("pk"), void_reason="", withdrawn_at=None)
    return list(Pool.objects.annotate(newest_vote=Subquery(ranked.order_by("-created_at").values("created_at")[:1])))


def pool_named(slug: str, pools: Sequence[Pool]) -> Pool | None:
    """The pool of this name; without one, that of the newest ranked vote, else the first."""
    if slug:
        return next((pool for pool in pools if pool.slug == slug), None)
    voted = [pool for pool in pools if pool.newest_vote is not None]  # type: ignore[attr-defined]  # annotated above
    return max(voted, key=attrgetter("newest_vote"), default=pools[0] if pools else None)


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and its replies, from left to right, with the votes on it."""

    number: int
    prompt: str
    replies: tuple[Reply, ...]
    votes: tuple[Vote, ...] = ()

    @property
    def is_queued(self) -> bool:
        return any(reply.generation.state == State.QUEUED for reply in self.replies)

    @property
    def is_active(self) -> bool:
        return any(reply.generation.is_active for reply in self.replies)

    @property
    def has_failed(self) -> bool:
        return any(reply.generation.state == "failed" for reply in self.replies)

    @property
    def is_votable(self) -> bool:
        """All answers are there, and at least one says something."""
        return (
            not self.is_active
            and not self.has_failed
            and any(reply.generation.output.strip() for reply in self.replies)
        )

    @property
    def verdict(self) -> Outcome | Reply | None:
        """What was said of it: the best reply, or that they are equally good or bad."""
        votes = [vote for vote in self.votes if not vote.is_withdrawn]
        if not votes:
            return None
        outcome = Outcome(votes[0].outcome)
        if outcome in {Outcome.TIE, Outcome.BOTH_BAD}:
            return outcome
        winners = Counter(
            vote.comparison.generation_a_id if vote.outcome == Outcome.A else vote.comparison.generation_b_id
            for vote in votes
            if vote.comparison is not None
        )
        best, _count = winners.most_common(1)[0]
        return next((reply for reply in self.replies if reply.generation_id == best), None)


def contenders_of(contest: Contest) -> list[Contender]:
    """From left to right, each with its variant, card and conversation."""
    return list(contest.contenders.select_related("variant__card", "conversation"))


def turns_of(contest: Contest) -> list[Turn]:
    """A contest's turns in order, in two queries whatever their number."""
    replies = (
        Reply.objects.filter(contender__contest=contest)
        .select_related("contender__variant__card", "generation__variant__card", "generation__conversation")
        .defer(*_NOT_SHOWN)
        .order_by("turn", "contender__position")
    )
    votes: dict[int, list[Vote]] = {}
    for vote in Vote.objects.filter(comparison__contest=contest).select_related("comparison"):
        if vote.comparison is not None:
            votes.setdefault(vote.comparison.turn, []).append(vote)
    turns = []
    for number, group in groupby(replies, key=lambda reply: reply.turn):
        of_turn = tuple(group)
        turns.append(Turn(number, of_turn[0].generation.prompt, of_turn, tuple(votes.get(number, ()))))
    return turns


def latest_replies(contest: Contest) -> list[Reply]:
    """The replies of the last turn, from left to right, each with its run."""
    last = Reply.objects.filter(contender__contest=contest).order_by("-turn").values("turn")[:1]
    return list(
        Reply.objects.filter(contender__contest=contest, turn=last)
        .select_related("contender", "generation__variant__card", "generation__conversation")
        .order_by("contender__position")
    )


def open_pools() -> QuerySet[Pool]:
    return Pool.objects.filter(is_open=True).prefetch_related("entries")


def battle_variants() -> list[Variant]:
    """The variants that may be drawn for anybody: runnable, behind no gate, and made for chat as far as is known.

    Weights whose facts say that they have no chat template only continue texts.
    """
    open_to_all = runnable_variants().filter(card__gate=Gate.OPEN)
    return [each for each in open_to_all if not each.has_no_chat_template]


def entrants_of(pool: Pool, runnable: Sequence[Variant]) -> list[Entrant]:
    """The variants that may be drawn, each with its weight."""
    weights = {entry.variant_id: entry.weight for entry in pool.entries.all()}

    def usual(variant: Variant) -> float:
        # An adapter is another manner, not another precision; a maintainer may still enter one.
        is_fit = not (variant.is_adapter and pool.pairing == Pairing.PRECISIONS)
        return 1.0 if pool.is_automatic and is_fit else 0.0

    return [Entrant(each.pk, each.card_id, weights.get(each.pk, usual(each))) for each in runnable]


def pairs_of(pool: Pool) -> dict[Pair, float]:
    """The pairs that may meet now, with their sampling weights."""
    entrants = entrants_of(pool, battle_variants())
    return pair_weights(entrants, same_card=_SAME_CARD[Pairing(pool.pairing)], votes=pair_votes(pool))


def pools_with_pairs() -> list[tuple[Pool, int]]:
    """The open pools, each with the number of variants that can meet another in it."""
    runnable = battle_variants()
    rows = []
    for pool in open_pools():
        pairs = pair_weights(entrants_of(pool, runnable), same_card=_SAME_CARD[Pairing(pool.pairing)], votes={})
        rows.append((pool, len({variant for pair in pairs for variant in pair})))
    return rows


def pair_votes(pool: Pool) -> dict[Pair, int]:
    """How many votes each pair of the pool has."""
    counted = (
        Vote.objects.filter(pool=pool, void_reason="", withdrawn_at=None)
        .order_by()
        .values_list("variant_a", "variant_b")
        .annotate(count=Count("pk"))
    )
    counts: Counter[Pair] = Counter()
    for one, other, count in counted:
        counts[ordered(one, other)] += count
    return dict(counts)


def own_votes(actor: Actor) -> QuerySet[Vote]:
    """The actor's votes, newest first, each with its two variants and, while there are texts, what was asked."""
    voted = ("variant_a__card", "variant_b__card", "pool", "comparison__contest", "comparison__generation_a")
    texts = ("messages", "rendered_prompt", "provenance", "output", "thinking")
    own = Vote.objects.filter(actor.owns()).select_related(*voted)
    return own.defer(*(f"comparison__generation_a__{name}" for name in texts))


def place_among_votes(actor: Actor, vote_id: uuid.UUID) -> int:
    """How many of the actor's own stand before this one in `own_votes`."""
    own = Vote.objects.filter(actor.owns()).order_by()
    at = own.values_list("created_at", flat=True).get(pk=vote_id)
    return own.filter(Q(created_at__gt=at) | Q(created_at=at, pk__gt=vote_id)).count()


def own_contests(actor: Actor, kind: Kind) -> QuerySet[Contest]:
    """The actor's contests, newest first, each with its contenders' conversations."""
    return Contest.objects.filter(actor.owns(), kind=kind).prefetch_related("contenders__conversation")


def described_contests(actor: Actor, kind: Kind) -> QuerySet[Contest]:
    """The same, each with its variants and `turn_count`, and `outcome`: of a vote on it, if there is one."""
    turns = Reply.objects.filter(contender__contest=OuterRef("pk")).order_by("-turn").values("turn")
    votes = Vote.objects.filter(comparison__contest=OuterRef("pk")).order_by().values("outcome")
    described = own_contests(actor, kind).select_related("pool").prefetch_related("contenders__variant__card")
    return described.annotate(turn_count=Subquery(turns[:1]), outcome=Subquery(votes[:1]))
