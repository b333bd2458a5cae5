"""Who sees which snapshot: published ones are everybody's who is signed in, unfinished ones their makers'."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404

from portal.accounts.models import User
from portal.catalog.job_models import JobState
from portal.exports.models import Snapshot


def may_make_snapshots(user: object) -> bool:
    """Whether this person may make snapshots, and see unfinished ones."""
    return isinstance(user, User) and user.has_perm("exports.add_snapshot")


def require_maker(user: object) -> User:
    """Who may make snapshots. Raises Http404: for everybody else there is no such thing."""
    if not may_make_snapshots(user):
        raise Http404
    assert isinstance(user, User)
    return user


def visible_snapshots(user: object) -> QuerySet[Snapshot]:
    """Newest first."""
    snapshots = Snapshot.objects.select_related("requested_by", "previous")
    return snapshots if may_make_snapshots(user) else snapshots.filter(state=JobState.SUCCEEDED)


def get_snapshot(user: object, pk: int) -> Snapshot:
    """Raises Http404 for one that is not there for this person."""
    snapshot = visible_snapshots(user).filter(pk=pk).first() if pk < 2**63 else None
    if snapshot is None:
        raise Http404
    return snapshot


def get_published(number: int) -> Snapshot:
    """The published snapshot of this number. Raises Http404."""
    # Beyond what the column holds there is none, and SQLite would not compare.
    snapshot = visible_snapshots(None).filter(number=number).first() if number < 2**31 else None
    if snapshot is None:
        raise Http404
    return snapshot
