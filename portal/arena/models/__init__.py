"""The arena's rows, by noun: pools, contests with what was compared in them, votes, and rankings."""

from portal.arena.models.contests import MAX_CONTENDERS, Comparison, Contender, Contest, Kind, Reply
from portal.arena.models.pools import Pairing, Pool, PoolEntry
from portal.arena.models.rankings import Ranking
from portal.arena.models.votes import Category, Outcome, VoidReason, Vote

__all__ = [
    "MAX_CONTENDERS",
    "Category",
    "Comparison",
    "Contender",
    "Contest",
    "Kind",
    "Outcome",
    "Pairing",
    "Pool",
    "PoolEntry",
    "Ranking",
    "Reply",
    "VoidReason",
    "Vote",
]
