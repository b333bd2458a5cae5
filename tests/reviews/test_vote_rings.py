"""Rings among votes: the two tails against scipy, honest voters left alone, colluding ones found with their numbers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from scipy.stats import betabinom, nbinom

from portal.reviews.vote_rings import CastVote, beta_binomial_tail, burst_tail, find_rings

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(("least", "of", "won", "lost"), [(6, 6, 50, 50), (9, 12, 3, 8), (0, 4, 1, 1), (20, 20, 0, 0)])
def test_the_tail_of_one_side_is_the_beta_binomials(least: int, of: int, won: int, lost: int) -> None:
    assert beta_binomial_tail(least, of, won, lost) == pytest.approx(betabinom.sf(least - 1, of, won + 1, lost + 1))


@pytest.mark.parametrize(("least", "others", "share"), [(6, 200, 0.001), (3, 4, 0.5), (1, 0, 0.25)])
def test_the_tail_of_a_burst_is_the_negative_binomials(least: int, others: int, share: float) -> None:
    assert burst_tail(least, others, share) == pytest.approx(nbinom.sf(least - 1, others + 1, 1 - share), abs=1e-12)


def honest(seed: int) -> list[CastVote]:
    """60 voters over 30 days on three pairs, of which each is preferred by a share of its own."""
    rng = random.Random(seed)
    votes = []
    for pair, share in {(1, 2): 0.5, (1, 3): 0.7, (2, 3): 0.9}.items():
        for _vote in range(400):
            winner, loser = pair if rng.random() < share else pair[::-1]
            at = BEGAN + timedelta(minutes=rng.uniform(0, 30 * 24 * 60))
            votes.append(CastVote(rng.randrange(60), winner, loser, at))
    return votes


def test_honest_voters_are_left_alone() -> None:
    # At a level of 1 % for either kind, two of 20 worlds with a finding are more than chance should give.
    assert sum(bool(find_rings(honest(seed))) for seed in range(20)) <= 1


def test_a_voter_who_always_says_the_same_is_found() -> None:
    planted = [CastVote("ringleader", 2, 1, BEGAN + timedelta(days=day)) for day in range(25)]
    (found,) = find_rings(honest(0) + planted)
    assert (found.voters, found.winner, found.loser, found.votes, found.of) == (("ringleader",), 2, 1, 25, 25)
    assert found.won + found.lost == 400
    assert found.chance < 0.001
    assert found.began is None


def test_a_burst_of_new_browsers_is_found_and_one_that_says_this_and_that_is_not() -> None:
    began = BEGAN + timedelta(days=12)
    ring = [CastVote(f"browser {n}", 2, 1, began + timedelta(seconds=20 * n)) for n in range(25)]
    (found,) = find_rings(honest(1) + ring)
    assert found.began is not None
    assert abs(found.began - began) < timedelta(minutes=10)
    assert {each.voter for each in ring} <= set(found.voters)
    assert found.chance < 0.001
    crowd = [CastVote(f"guest {n}", 1 + n % 2, 2 - n % 2, began + timedelta(seconds=20 * n)) for n in range(20)]
    assert find_rings(honest(1) + crowd) == []


def test_several_voters_of_one_network_who_all_say_the_same_are_found() -> None:
    ring = [CastVote(f"browser {n}", 2, 1, BEGAN + timedelta(days=n), "office") for n in range(25)]
    guests = [CastVote(f"guest {n}", 1 + n % 2, 2 - n % 2, BEGAN + timedelta(days=n % 29), "café") for n in range(20)]
    (found,) = find_rings(honest(3) + ring + guests)
    assert (found.network, found.votes, found.of, found.began) == ("office", 25, 25, None)
    assert set(found.voters) == {each.voter for each in ring}
    alone = [CastVote("one", 2, 1, BEGAN + timedelta(days=n), "office") for n in range(25)]
    assert [each.network for each in find_rings(honest(3) + alone)] == [""], "the voter answers for a network of one"


def test_nothing_comes_of_few_votes() -> None:
    assert find_rings([]) == []
    assert find_rings([CastVote(1, 1, 2, BEGAN)] * 5) == []
