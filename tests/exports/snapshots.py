"""Snapshots that tests make, and what is in them."""

from __future__ import annotations

from typing import Any

from portal.accounts.models import User
from portal.exports.criteria import Criteria
from portal.exports.models import Snapshot
from portal.exports.services import start_snapshot
from portal.exports.tasks import build_snapshot
from portal.feedback.models import Submission
from tests.arena.contests import compare, make_contest, make_vote
from tests.feedback.judgements import judge, make_variant


def made(maintainer: User, *tables: str, **columns: Any) -> Snapshot:
    columns = {"title": "Autumn", "criteria": Criteria()} | columns
    snapshot = start_snapshot(maintainer, tables=tables or ("feedback", "kto", "comparisons"), **columns)
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


def said(alice: User) -> Submission:
    submission = judge(alice, comment="Call me: alice@example.org")
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    return submission
