"""Items that wait for a person to decide them where no account is left that may: all have judged them, or gave them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from portal.accounts.roles import Role
from portal.reviews.models import Review, ReviewItem
from portal.reviews.queries.policy import accounts_with
from portal.reviews.settling import ItemState

# A long queue is not read whole.
_OLDEST_LOOKED_AT: Final = 100
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Stalemate:
    """How many items nobody may decide, the first of them, and whether one of those waits for a maintainer."""

    count: int
    items: Sequence[ReviewItem]
    needs_maintainer: bool

    @property
    def is_more(self) -> bool:
        return self.count > len(self.items)


def stalemate(items: QuerySet[ReviewItem] | None = None) -> Stalemate | None:
    """Among these items, or the oldest of the whole queue; None where each has somebody who may decide it."""
    undecided = (ReviewItem.objects.all() if items is None else items).filter(state=ItemState.ADJUDICATION)
    owned = undecided.annotate(owner=Coalesce("submission__owner", "vote__owner")).order_by("entered_at", "pk")
    waiting = list(owned.values_list("pk", "needs_maintainer", "owner")[:_OLDEST_LOOKED_AT])
    if not waiting:
        return None
    judged: defaultdict[int, set[int | None]] = defaultdict(set)
    reviews = Review.objects.filter(item__in=[pk for pk, _needs, _owner in waiting], superseded_at=None)
    for item_id, reviewer_id in reviews.values_list("item", "reviewer"):
        judged[item_id].add(reviewer_id)
    maintainers = set(accounts_with(Role.MAINTAINER).values_list("pk", flat=True))
    judges = maintainers | set(accounts_with(Role.REVIEWER).values_list("pk", flat=True))
    stuck = [
        pk
        for pk, needs_maintainer, owner in waiting
        if not (maintainers if needs_maintainer else judges) - judged[pk] - {owner}
    ]
    if not stuck:
        return None
    named = list(ReviewItem.objects.only("needs_maintainer").filter(pk__in=stuck[:_NAMED]).order_by("entered_at", "pk"))
    return Stalemate(len(stuck), named, needs_maintainer=any(item.needs_maintainer for item in named))
