"""Asks for a snapshot and notes who took one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.accounts.transaction_turns import wait_for_turn
from portal.catalog.job_dispatch import dispatch_soon
from portal.catalog.job_models import ACTIVE
from portal.exports.access import may_make_snapshots
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.models import Salting, Snapshot, SnapshotDownload
from portal.exports.tables import TABLES

MAX_WAITING = 3
ROOM_TURN = 7_305_811


class TooManyUnderWay(ValidationError):
    """As many snapshots as may be made at a time wait or are made already."""


def start_snapshot(
    user: User,
    *,
    title: str,
    tables: Sequence[str],
    criteria: Criteria,
    note: str = "",
    salting: Salting = Salting.OWN,
    redacts: bool = False,
) -> Snapshot:
    """A worker will build it. Raises PermissionDenied, ValidationError by field, and TooManyUnderWay."""
    if not may_make_snapshots(user):
        raise PermissionDenied(_("Only maintainers make snapshots."))
    chosen = [name for name in TABLES if name in tables]
    errors: dict[str, list[str]] = {}
    if not chosen or len(chosen) < len(set(tables)):
        errors["tables"] = [_("Choose at least one of: %s.") % ", ".join(TABLES)]
    for name in chosen:
        try:
            TABLES[name].plan(criteria.only(TABLES[name].filters))
        except InvalidCriterion as error:
            errors.setdefault(error.parameter, []).append(error.limit)
    if errors:
        raise ValidationError(errors)
    with transaction.atomic():
        _check_room()
        snapshot = Snapshot(
            title=title,
            note=note,
            tables=chosen,
            criteria=criteria.as_texts(),
            as_of=min(timezone.now(), criteria.until or timezone.now()),
            salting=salting,
            salt=secrets.token_hex(32),
            redacts=redacts,
            requested_by=user,
        )
        snapshot.full_clean(exclude=["manifest", "criteria"])
        snapshot.save()
        dispatch_soon(snapshot)
    return snapshot


def repeat_snapshot(user: User, snapshot: Snapshot) -> bool:
    """A worker will build one that failed or was stopped once more, as of now; False when it did neither.

    What it would have held then cannot be told any more: answers and review states have moved on.

    Raises PermissionDenied and TooManyUnderWay.
    """
    if not may_make_snapshots(user):
        raise PermissionDenied(_("Only maintainers make snapshots."))
    with transaction.atomic():
        asked = snapshot.ask_again()
        if asked:
            _check_room(beside=snapshot)
            until = Criteria.from_texts(snapshot.criteria).until
            Snapshot.objects.filter(pk=snapshot.pk).update(as_of=min(timezone.now(), until or timezone.now()))
            dispatch_soon(snapshot)
    return asked


def _check_room(beside: Snapshot | None = None) -> None:
    """Raises TooManyUnderWay. Within a transaction, in which others wait that would fill the same room."""
    wait_for_turn(ROOM_TURN)
    others = Snapshot.objects.filter(state__in=ACTIVE)
    if (others if beside is None else others.exclude(pk=beside.pk)).count() >= MAX_WAITING:
        raise TooManyUnderWay(_("%d snapshots are being made. Wait until one is done, or stop one.") % MAX_WAITING)


def note_download(snapshot: Snapshot, path: str, user: User, first_byte: int) -> None:
    """Log that somebody takes a file."""
    SnapshotDownload.objects.create(snapshot=snapshot, path=path, user=user, first_byte=first_byte)
