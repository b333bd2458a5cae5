"""Changing the rules of entry: the version that was in force stays as it is, with everything that entered by it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from portal.accounts.models import User
from portal.reviews.models import QueuePolicy
from portal.reviews.models.history import record_event


def change_rules(maintainer: User, values: dict[str, Any]) -> QueuePolicy:
    """Make the next version with `values`; the same values again change nothing."""
    with transaction.atomic():
        before = QueuePolicy.objects.select_for_update().get(is_current=True)
        changed = {
            name: [str(getattr(before, name)), str(value)]
            for name, value in values.items()
            if getattr(before, name) != value
        }
        if not changed:
            return before
        QueuePolicy.objects.filter(pk=before.pk).update(is_current=False)
        after = QueuePolicy.objects.create(version=before.version + 1, created_by=maintainer, **values)
        record_event(after, "changed", maintainer, **changed)
    return after
