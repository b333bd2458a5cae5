"""Bringing what waits under the number of reviewers that the rules ask for now: item by item, through `settle`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from portal.accounts.models import User
from portal.accounts.writing_turns import in_turns
from portal.reviews.models import ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.queries.policy import current_policy, waiting_under_another_number
from portal.reviews.services.bulk import MOST_ITEMS
from portal.reviews.services.settlement import lock_item, resettle
from portal.reviews.settling import ItemState


class RulesChanged(Exception):
    """The rules ask for another number by now than the one that was to be applied."""


@dataclass(slots=True)
class Applied:
    """How many items ask for the new number now; how many were left because somebody is at them."""

    changed: int = 0
    held: int = 0


def apply_needed_reviews(maintainer: User, needed: int) -> Applied:
    """Let items that wait ask for `needed` reviewers, 500 at a time, the oldest first.

    Raises RulesChanged, and writes nothing, when the rules in force ask for another number.
    """
    if current_policy().needed_reviews != needed:
        raise RulesChanged
    applied = Applied()
    numbers = list(waiting_under_another_number(needed).order_by("pk").values_list("pk", flat=True)[:MOST_ITEMS])
    for turn in in_turns(numbers):
        if current_policy().needed_reviews != needed:
            # Decided cannot be taken back by another rule.
            break
        for number in turn:
            _apply_to_one(maintainer, number, needed, applied)
    return applied


def _apply_to_one(maintainer: User, item_id: int, needed: int, applied: Applied) -> None:
    with transaction.atomic():
        try:
            item, subject = lock_item(item_id)
        except ReviewItem.DoesNotExist:
            return
        if item.state != ItemState.WAITING or item.needed == needed:
            return
        before, item.needed = item.needed, needed
        is_settled = item.settlement(is_withdrawn=subject.is_withdrawn).state != ItemState.WAITING
        if is_settled and item.is_claimed and item.claimed_by_id != maintainer.pk:
            # Deciding it would take it out of the hands of who reads it now.
            applied.held += 1
            return
        item.save(update_fields=["needed"])
        record_event(item, "changed", maintainer, needed=[before, needed])
        if is_settled:
            # An item that waits on keeps whoever holds it.
            resettle(item, subject, maintainer)
        applied.changed += 1
