"""The rules in force, whether enough people may review, and what waits under another number than they ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Max, Q, QuerySet

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import QueuePolicy, ReviewItem
from portal.reviews.models.policy import MOST_REVIEWS
from portal.reviews.settling import ItemState

# Who may judge (see portal/reviews/access.py).
_JUDGING_ROLES: Final = (Role.REVIEWER, Role.MAINTAINER)
# Of those that come next: where older rules keep items waiting they are the oldest, and a long queue is not read whole.
_NEXT_LOOKED_AT: Final = 1_000
# Counted no further than this: who has more waiting items reads "more than".
MOST_WAITING_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Shortage:
    """How many have to judge and how many may; `by_rule` tells whether it is the rule in force that asks it."""

    asked: int
    may: int
    by_rule: bool


@dataclass(frozen=True, slots=True)
class WaitingOtherwise:
    """Items that wait under another number of reviewers than the rule in force asks for.

    `settled` of them have as many verdicts as it asks for.
    """

    needed: int
    count: int
    settled: int

    @property
    def waits(self) -> int:
        return self.count - self.settled

    @property
    def is_bounded(self) -> bool:
        return self.count == MOST_WAITING_COUNTED


def current_policy() -> QueuePolicy:
    """The version of the rules in force; seeded with the database."""
    return QueuePolicy.objects.get(is_current=True)


def shortage_of_reviewers() -> Shortage | None:
    """What keeps the queue from being decided; None where enough accounts may review."""
    may = _count_judges()
    if may >= MOST_REVIEWS:
        return None
    needed = current_policy().needed_reviews
    if may < needed:
        return Shortage(needed, may, by_rule=True)
    next_ones = ReviewItem.objects.filter(is_claimable=True, state=ItemState.WAITING)
    next_ones = next_ones.order_by("-priority", "entered_at", "pk")[:_NEXT_LOOKED_AT]
    asked: int = next_ones.aggregate(most=Max("needed"))["most"] or 0
    return Shortage(asked, may, by_rule=False) if asked > may else None


def shortage_for(item: ReviewItem) -> Shortage | None:
    """What keeps this item waiting: those who judged it and those who may are too few.

    Nobody judges their own, so its contributor does not count.
    """
    if item.state != ItemState.WAITING:
        return None
    judged = list(item.reviews.filter(superseded_at=None).values_list("reviewer", flat=True))
    may = item.verdict_count + _count_judges(besides=[*judged, item.subject.owner_id])
    if may >= item.needed:
        return None
    return Shortage(item.needed, may, by_rule=item.needed <= current_policy().needed_reviews)


def waiting_otherwise(needed: int) -> WaitingOtherwise:
    """How many items a change to `needed` would reach, and how many of them have all their verdicts then."""
    waiting = waiting_under_another_number(needed)
    settled = waiting.filter(verdict_count__gte=needed)
    return WaitingOtherwise(needed, _bounded(waiting), _bounded(settled))


def waiting_under_another_number(needed: int) -> QuerySet[ReviewItem]:
    return ReviewItem.objects.filter(state=ItemState.WAITING).exclude(needed=needed)


def accounts_with(*roles: Role) -> QuerySet[User]:
    """Accounts that have one of these roles; a superuser has each."""
    has_one = Q(is_superuser=True) | Q(groups__name__in=[role.value for role in roles])
    return User.objects.filter(has_one, is_active=True).order_by().distinct()


def _bounded(items: QuerySet[ReviewItem]) -> int:
    return items.order_by()[:MOST_WAITING_COUNTED].count()


def _count_judges(besides: Iterable[int | None] = ()) -> int:
    """The accounts that may judge, counted no further than a rule can ask for."""
    people = accounts_with(*_JUDGING_ROLES).exclude(pk__in=[each for each in besides if each is not None])
    return people.values("pk")[:MOST_REVIEWS].count()
