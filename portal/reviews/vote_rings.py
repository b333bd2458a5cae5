"""Votes that one preference does not explain: a voter, or several from one network, one-sided beyond chance, or a burst
that all says the same. Pure.

What is compared is one pair of variants. Against a voter, a network, or a burst, stand all *other* votes on the pair:
`won` for the same variant and `lost` against it. With a uniform prior on the pair's true share, k and more of n votes
for that variant have the beta-binomial tail probability P(K ≥ k | n, won + 1, lost + 1), doubled since either side
might have been it; it allows for how few the others may be. A burst must in addition be faster than the pair's other
votes let expect, by the tail of the negative binomial: a Poisson count whose rate is itself estimated from those.
Both are multiplied by the number of looks (Bonferroni), which for bursts is one for each vote that might begin one.
Ties say nothing of a side and are left out. A person of firm taste may show up too: this orders, and an operator
decides.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

# Fewer decisive votes on a pair cannot be told from chance, or from a morning's enthusiasm.
FEWEST_VOTES: Final = 6
WINDOW: Final = timedelta(minutes=10)
LEVEL: Final = 0.01


@dataclass(frozen=True, slots=True)
class CastVote:
    """Somebody preferred `winner` to `loser`."""

    voter: Hashable
    winner: int
    loser: int
    at: datetime
    # Equal for votes from one network; empty where it is not known.
    network: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """`votes` of `of` for `winner` against `loser`, where others say so in `won` of `won + lost`; `chance` is adjusted.

    `began` is set for a burst, `network` for what came from one: their votes may be of many voters.
    """

    voters: tuple[Hashable, ...]
    winner: int
    loser: int
    votes: int
    of: int
    won: int
    lost: int
    chance: float
    began: datetime | None = None
    network: str = ""

    @property
    def others(self) -> int:
        return self.won + self.lost


def beta_binomial_tail(least: int, of: int, won: int, lost: int) -> float:
    """P(K ≥ least) of `of` votes where others split `won` to `lost`, with a uniform prior on the true share."""
    a, b = won + 1, lost + 1
    terms = (_log_choose(of, k) + _log_beta(k + a, of - k + b) - _log_beta(a, b) for k in range(max(0, least), of + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def burst_tail(least: int, others: int, share_of_time: float) -> float:
    """P(N ≥ least) votes in a window, where `others` came in the rest and the window is `share_of_time` of the whole.

    Poisson counts at one unknown rate with a uniform prior: negative binomial, others + 1 successes at 1 - share.
    """
    fewer = (
        _log_choose(others + n, n) + n * math.log(share_of_time) + (others + 1) * math.log1p(-share_of_time)
        for n in range(least)
    )
    return min(1.0, max(0.0, 1.0 - math.fsum(math.exp(term) for term in fewer)))


def find_rings(votes: Iterable[CastVote]) -> list[Finding]:
    """One-sided voters and networks, and bursts, with an adjusted chance of at most 1 %, the least likely first."""
    of_pair: defaultdict[tuple[int, int], list[CastVote]] = defaultdict(list)
    for vote in votes:
        of_pair[min(vote.winner, vote.loser), max(vote.winner, vote.loser)].append(vote)
    found = []
    for pair in of_pair.values():
        pair.sort(key=lambda vote: vote.at)
        found += [*_one_sided(pair), *_of_networks(pair)]
    looks = len(found)
    starts = sum(len(pair) for pair in of_pair.values())
    bursts = [burst for pair in of_pair.values() for burst in _bursts(pair)]
    adjusted = [_times(each, looks) for each in found] + [_times(each, starts) for each in bursts]
    return sorted((each for each in adjusted if each.chance <= LEVEL), key=lambda each: (each.chance, -each.votes))


def _one_sided(pair: Sequence[CastVote]) -> list[Finding]:
    """Each voter with enough votes on the pair, for the side that they mostly took; unadjusted, for two sides."""
    by_voter: defaultdict[Hashable, list[CastVote]] = defaultdict(list)
    for vote in pair:
        by_voter[vote.voter].append(vote)
    return [_compared(own, pair, (voter,)) for voter, own in by_voter.items() if len(own) >= FEWEST_VOTES]


def _of_networks(pair: Sequence[CastVote]) -> list[Finding]:
    """Each network with enough votes on the pair of more than one voter: of a single one, that voter answers for it."""
    by_network: defaultdict[str, list[CastVote]] = defaultdict(list)
    for vote in pair:
        if vote.network:
            by_network[vote.network].append(vote)
    found = []
    for network, own in by_network.items():
        voters = tuple(dict.fromkeys(vote.voter for vote in own))
        if len(own) >= FEWEST_VOTES and len(voters) > 1:
            found.append(replace(_compared(own, pair, voters), network=network))
    return found


def _bursts(pair: Sequence[CastVote]) -> list[Finding]:
    """Windows one after another, each beginning with a vote, that hold enough votes; unadjusted."""
    span = (pair[-1].at - pair[0].at) / WINDOW
    found, start = [], 0
    while start < len(pair):
        end = start
        while end < len(pair) and pair[end].at - pair[start].at < WINDOW:
            end += 1
        inside = pair[start:end]
        if len(inside) >= FEWEST_VOTES and span > 1:
            voters = tuple(dict.fromkeys(vote.voter for vote in inside))
            sided = _compared(inside, pair, voters)
            speed = burst_tail(len(inside), len(pair) - len(inside), 1 / (span + 1))
            # Both must be unlikely: of the two, the likelier is what the burst has to answer for.
            found.append(replace(sided, chance=max(sided.chance, speed), began=inside[0].at))
        start = end if len(inside) >= FEWEST_VOTES else start + 1
    return found


def _compared(own: Sequence[CastVote], pair: Sequence[CastVote], voters: tuple[Hashable, ...]) -> Finding:
    first, second = min(own[0].winner, own[0].loser), max(own[0].winner, own[0].loser)
    for_first = sum(vote.winner == first for vote in own)
    winner, loser = (first, second) if 2 * for_first >= len(own) else (second, first)
    votes = max(for_first, len(own) - for_first)
    won = sum(vote.winner == winner for vote in pair) - votes
    lost = len(pair) - len(own) - won
    chance = min(1.0, 2 * beta_binomial_tail(votes, len(own), won, lost))
    return Finding(voters, winner, loser, votes, len(own), won, lost, chance)


def _times(finding: Finding, looks: int) -> Finding:
    return replace(finding, chance=min(1.0, finding.chance * looks))


def _log_beta(a: int, b: int) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
