"""Two votes at the same moment: one is kept, the other is told."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from portal.accounts.models import User
from portal.arena.models import Outcome, Vote
from portal.arena.voting import AlreadyVoted, vote_on_battle
from portal.catalog.models import Variant
from tests.arena.contests import make_contest
from tests.playground.turns import actor_of


@pytest.mark.django_db(transaction=True)
def test_of_two_votes_at_once_one_is_kept(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    start, told = threading.Barrier(4), []

    def vote(outcome: Outcome) -> None:
        try:
            start.wait()
            vote_on_battle(actor_of(alice), contest, outcome)
            told.append("kept")
        except AlreadyVoted:
            told.append("told")
        finally:
            connection.close()

    threads = [threading.Thread(target=vote, args=[outcome]) for outcome in Outcome]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["kept", "told", "told", "told"]
    assert Vote.objects.count() == 1
