"""The rules in force."""

from __future__ import annotations

from portal.reviews.models import QueuePolicy


def current_policy() -> QueuePolicy:
    """The version of the rules in force; seeded with the database."""
    return QueuePolicy.objects.get(is_current=True)
