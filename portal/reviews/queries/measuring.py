"""Gold items as those read them whom they measure: in lists, counts and pages like any that wait for a verdict."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import Event, QueuePolicy, Review, ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.settling import ItemState, Kind

_Row = TypeVar("_Row", ReviewItem, Review, Event)
# What a verdict makes of an item, as it is before the first one.
_BEFORE_VERDICTS: Final = {
    "state": ItemState.WAITING.value,
    "is_claimable": True,
    "needs_maintainer": False,
    "is_gold": False,
    "outcome": "",
    "reason": "",
    "duplicate_of": None,
    "verdict_count": 0,
    "decided_at": None,
}


def measuring(person: User) -> QuerySet[ReviewItem]:
    """Gold items whose answer this person must not read: what they hold and, of reviewers, what they can be given.

    Maintainers choose gold items, so that they know them; what one of them holds measures them all the same.
    """
    gold = ReviewItem.objects.filter(is_gold=True)
    held = Q(claimed_by=person, claim_expires_at__gt=timezone.now())
    if person.has_role(Role.MAINTAINER):
        return gold.filter(held)
    if not person.has_role(Role.REVIEWER):
        return gold.none()
    are_given = Exists(QueuePolicy.objects.filter(is_current=True, gold_percent__gt=0))
    judged = Review.objects.filter(item=OuterRef("pk"), reviewer=person, superseded_at=None)
    given = gold.filter(held | Q(are_given), ~Exists(judged))
    return given.exclude(submission__owner=person).exclude(vote__owner=person)


def measured_by(person: User, items: Iterable[ReviewItem]) -> set[int]:
    """The numbers of those of these items that measure this person."""
    gold = [item.pk for item in items if item.is_gold]
    return set(measuring(person).filter(pk__in=gold).values_list("pk", flat=True)) if gold else set()


def shown_to(person: User, items: Iterable[ReviewItem]) -> list[ReviewItem]:
    """The items as this person may read them; what measures them is a copy, which is never to be saved."""
    listed = list(items)
    measured = measured_by(person, listed)
    return [_like_a_waiting_one(item) if item.pk in measured else item for item in listed]


class ItemReader:
    """Somebody who reads items during one request, in which it is asked once what measures them."""

    def __init__(self, person: User) -> None:
        self.person = person

    @cached_property
    def _measuring(self) -> list[int]:
        return list(measuring(self.person).order_by().values_list("pk", flat=True))

    def fitting(self, filters: QueueFilters) -> tuple[QuerySet[ReviewItem], QuerySet[ReviewItem]]:
        """What fits the filters: by what is stored, and beside it what only looks to this person as if it waited.

        Two, since each walks along its own index; no item is in both. The few of the second are named by their keys: a
        list that is asked for in order of time would otherwise walk all items to find them.
        """
        items = filters.narrow(ReviewItem.objects.all())
        rest = filters.of_unjudged()
        if rest is not None and not filters.state:
            # Without a state asked for, the first has all of them.
            return items, ReviewItem.objects.none()
        if rest is None:
            return items.exclude(pk__in=self._measuring), ReviewItem.objects.none()
        return items, rest.narrow(ReviewItem.objects.filter(pk__in=self._measuring))


def shown_verdicts(person: User, reviews: Iterable[Review]) -> list[Review]:
    """Verdicts on gold measure their givers and are no part of the item; one's own looks like any other, and repeats
    the item that one named."""
    shown = [each for each in reviews if each.kind != Kind.GOLD or each.reviewer_id == person.pk]
    if not _is_measured(person):
        return shown
    return [_as_given(each) if each.reviewer_id == person.pk else each for each in shown]


def shown_events(person: User, events: Iterable[Event]) -> list[Event]:
    """An item's history; for those whom gold measures without what tells that it is gold."""
    listed = list(events)
    verdicts = _verdicts_of(listed)
    told = [_with_kind(event, verdicts) for event in listed]
    if not _is_measured(person):
        return told
    others = {pk for pk, (kind, reviewer) in verdicts.items() if kind == Kind.GOLD and reviewer != person.pk}
    shown = []
    for event in told:
        set_aside = event.changes.get("reviews")
        if event.changes.get("kind") == Kind.GOLD:
            if event.actor_id == person.pk:
                shown.append(_with(event, changes={**event.changes, "kind": Kind.INDEPENDENT.value}))
        elif isinstance(set_aside, list) and not others.isdisjoint(set_aside):
            if left := [each for each in set_aside if each not in others]:
                shown.append(_with(event, changes={**event.changes, "reviews": left}))
        elif event.action != "gold":
            shown.append(event)
    return shown


def _verdicts_of(events: Iterable[Event]) -> dict[int, tuple[str, int | None]]:
    """Of the verdicts whose role the entries do not say: number → role and reviewer."""
    numbers: set[int] = set()
    for event in events:
        numbers.update(event.changes.get("reviews") or ())
        if _lacks_kind(event):
            numbers.add(event.changes["review"])
    if not numbers:
        return {}
    found = Review.objects.filter(pk__in=numbers).values_list("pk", "kind", "reviewer_id")
    return {pk: (kind, reviewer) for pk, kind, reviewer in found}


def _lacks_kind(event: Event) -> bool:
    """Earlier versions wrote of an undone verdict which one it was, and not its role."""
    return event.action == "undone" and "kind" not in event.changes and "review" in event.changes


def _with_kind(event: Event, verdicts: Mapping[int, tuple[str, int | None]]) -> Event:
    found = verdicts.get(event.changes["review"]) if _lacks_kind(event) else None
    return event if found is None else _with(event, changes={"kind": found[0], **event.changes})


def _as_given(review: Review) -> Review:
    """One's own verdict on what may be gold, as one gave it."""
    kind = Kind.INDEPENDENT.value if review.kind == Kind.GOLD else review.kind
    return _with(review, kind=kind, duplicate_of_id=review.named_duplicate_of_id or review.duplicate_of_id)


def _is_measured(person: User) -> bool:
    """Whether gold is kept from this person: who reviews, and does not choose it."""
    return person.has_role(Role.REVIEWER) and not person.has_role(Role.MAINTAINER)


def _like_a_waiting_one(item: ReviewItem) -> ReviewItem:
    return _with(item, **_BEFORE_VERDICTS)


def _with(row: _Row, **columns: Any) -> _Row:
    shown = copy.copy(row)
    for name, value in columns.items():
        setattr(shown, name, value)
    return shown
