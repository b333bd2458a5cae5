"""The newest battle votes looked over for rings, with the names that an operator needs to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal.arena.models import Kind, Outcome, Vote
from portal.arena.review_states import SET_ASIDE
from portal.catalog.models import Variant
from portal.reviews.vote_rings import CastVote, Finding, find_rings

# Looked over in about a quarter of a second.
NEWEST_VOTES: Final = 10_000
MOST_SHOWN: Final = 20
MOST_NAMES: Final = 12


@dataclass(frozen=True, slots=True)
class Ring:
    """A finding in words. `names` are what the measures' form takes; nobody is named whose account is gone."""

    finding: Finding
    names: list[str]
    left_out: int
    winner: str
    loser: str

    @property
    def chance(self) -> str:
        """Read as a bound: how many zeros there are beyond six decides nothing."""
        return "< 0.000001" if self.finding.chance < 1e-6 else f"{self.finding.chance:.6f}"


def vote_rings() -> list[Ring]:
    """What stands out among the newest 10,000 votes that are ranked, the least likely first."""
    found = find_rings(_newest_votes())[:MOST_SHOWN]
    variants = Variant.objects.select_related("card").in_bulk({v for each in found for v in (each.winner, each.loser)})
    rings = []
    for each in found:
        names = [voter for voter in each.voters if isinstance(voter, str)]
        winner, loser = variants[each.winner].model_id, variants[each.loser].model_id
        rings.append(Ring(each, names[:MOST_NAMES], len(each.voters) - len(names[:MOST_NAMES]), winner, loser))
    return rings


def _newest_votes() -> list[CastVote]:
    counted = Vote.objects.filter(kind=Kind.BATTLE, void_reason="", withdrawn_at=None)
    ranked = counted.exclude(review_state__in=SET_ASIDE)
    newest = ranked.order_by("-created_at", "-id").values_list(
        "id", "owner__username", "visitor", "outcome", "variant_a", "variant_b", "created_at", "network_digest"
    )[:NEWEST_VOTES]
    votes = []
    for pk, username, visitor, outcome, a, b, at, network in newest:
        # Whose account is gone is one voter for each vote: nothing is known of who they were.
        voter = username or (str(visitor) if visitor else pk)
        if outcome in {Outcome.A, Outcome.B}:
            winner, loser = (a, b) if outcome == Outcome.A else (b, a)
            votes.append(CastVote(voter, winner, loser, at, network))
    return votes
