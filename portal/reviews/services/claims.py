"""Giving items to reviewers: one person at a time holds an item, by a lease; two at once get two items."""

from __future__ import annotations

import random
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet

from portal.accounts.models import User
from portal.reviews.models import ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.items import claimable_by, gold_for, held_by
from portal.reviews.queries.measuring import measured_by, measuring
from portal.reviews.queries.policy import current_policy

# Each round somebody else got an item; as many at the same moment is more than any installation has reviewers.
_ROUNDS: Final = 50


def claim_next(
    reviewer: User, filters: QueueFilters | None = None, *, skip: int | None = None, chance: float | None = None
) -> ReviewItem | None:
    """The item that the reviewer holds, or else the first that nobody holds and that they may judge; None when none is.

    `skip` is an item that they just gave back. `chance` is a number from 0 to 1 that decides whether a gold item comes.
    Once nothing else waits it comes in any case: to its reviewer it stands in the queue as one that waits.
    """
    held = held_by(reviewer)
    if held is not None and held.pk != skip:
        return held
    policy = current_policy()
    draw = random.random() if chance is None else chance  # noqa: S311 - decides nothing that anybody could gain by
    gold = gold_for(reviewer, filters).exclude(pk=skip or 0)
    if draw * 100 < policy.gold_percent:
        drawn = gold.order_by("?").first()
        if drawn is not None and drawn.claim(reviewer, policy.lease):
            return drawn
    waiting = claimable_by(reviewer, filters).exclude(pk=skip or 0)
    for _round in range(_ROUNDS):
        item = _claim_first(waiting, reviewer)
        if item is None:
            break
        if item.is_held_by(reviewer):
            return item
    unmarked = gold.filter(pk__in=measuring(reviewer).values("pk"))
    return next((each for each in unmarked[:_ROUNDS] if each.claim(reviewer, policy.lease)), None)


def claim_item(reviewer: User, item: ReviewItem) -> bool:
    """Take this very item, if nobody holds it and the reviewer may judge it; others they hold go back.

    Taking what one holds, as with a second click, changes nothing.
    """
    with transaction.atomic():
        may_take = claimable_by(reviewer).filter(pk=item.pk).exists() or bool(measured_by(reviewer, [item]))
        if not (may_take and item.claim(reviewer, current_policy().lease)):
            return ReviewItem.objects.get(pk=item.pk).is_held_by(reviewer)
        for other in ReviewItem.objects.filter(claimed_by=reviewer).exclude(pk=item.pk):
            other.release(reviewer)
    return True


def _claim_first(waiting: QuerySet[ReviewItem], reviewer: User) -> ReviewItem | None:
    with transaction.atomic():
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(of=("self",), skip_locked=True)
        item = waiting.first()
        if item is not None:
            item.claim(reviewer, item.policy.lease)
        return item
