"""The rules that an installation starts with."""

from __future__ import annotations

from portal.reviews.models import QueuePolicy


def seed_policy() -> bool:
    """Make the first version of the queue's rules unless there is one; says whether it did."""
    if QueuePolicy.objects.exists():
        return False
    QueuePolicy.objects.create(version=1)
    return True
