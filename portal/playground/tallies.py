"""Ended runs' tallies, folded: rows of the same kind become one, so that adding all of them up stays cheap."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Final

from django.db import transaction
from django.db.models import F

from portal.playground.models import RunTally
from portal.playground.models.tally import KEY, SUMS

BATCH: Final = 2_000


def fold_tallies() -> int:
    """Add what ended since to the folded rows, at most BATCH of them; how many. Folding twice at once is harmless."""
    if not RunTally.objects.filter(is_folded=False).exists():
        return 0
    kind = attrgetter(*KEY)
    with transaction.atomic():
        # What another sweep folds at this moment is locked by it, and gone afterwards.
        fresh = list(
            RunTally.objects.filter(is_folded=False).order_by("pk").select_for_update(skip_locked=True)[:BATCH]
        )
        # In one order everywhere, so that no two wait for each other.
        for key, rows in groupby(sorted(fresh, key=kind), key=kind):
            _add(dict(zip(KEY, key, strict=True)), list(rows))
        RunTally.objects.filter(pk__in=[row.pk for row in fresh]).delete()
    return len(fresh)


def _add(key: dict[str, object], rows: list[RunTally]) -> None:
    folded, _is_new = RunTally.objects.get_or_create(is_folded=True, **key, defaults=dict.fromkeys(SUMS, 0))
    added = {name: F(name) + sum(getattr(row, name) for row in rows) for name in SUMS}
    RunTally.objects.filter(pk=folded.pk).update(**added)
