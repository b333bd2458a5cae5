"""Snapshots that take their numbers at the same moment, in threads with connections of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.accounts.models import User
from portal.exports import services
from portal.exports.criteria import Criteria
from portal.exports.models import NumberTaking
from portal.exports.services import start_snapshot
from tests.feedback.test_submitting_concurrently import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_several_at_once_one_takes_the_number_and_the_others_wait(
    maintainer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is woken: the test does what workers would.
    monkeypatch.setattr(services, "dispatch_soon", lambda _snapshot: None)
    snapshots = [start_snapshot(maintainer, title="x", tables=["kto"], criteria=Criteria()) for _ in range(3)]
    assert all(each.claim("worker", timedelta(seconds=30)) for each in snapshots)
    for expected in range(1, 4):
        takings = at_once(*(each.take_number for each in snapshots))
        others = [NumberTaking.OTHERS] * (len(snapshots) - 1)
        assert sorted(takings, key=str) == sorted([*others, NumberTaking.TAKEN], key=str)
        holder = snapshots.pop(takings.index(NumberTaking.TAKEN))
        assert holder.number == expected
        assert holder.succeed()
