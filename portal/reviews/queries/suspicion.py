"""Who shows signs of abuse: contributors with marked items, by their newest marked items."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Coalesce

from portal.reviews.models import ContributorRecord, ReviewItem
from portal.reviews.models.queue import Sign

NEWEST_MARKED: Final = 500
MOST_SHOWN: Final = 30


@dataclass(frozen=True, slots=True)
class Suspect:
    """A contributor among the newest marked items; `name` is what the measures' form takes."""

    name: str
    items: int
    signs: list[str]
    record: ContributorRecord | None


def suspects() -> list[Suspect]:
    """By how many of the newest 500 marked items are theirs. What it means, a person decides."""
    marked = ReviewItem.objects.filter(is_suspicious=True).order_by("-entered_at", "-id")
    rows = marked.values_list(
        Coalesce("submission__owner__username", "vote__owner__username"),
        Coalesce("submission__visitor", "vote__visitor"),
        "signs",
    )[:NEWEST_MARKED]
    items: Counter[tuple[str | None, Any]] = Counter()
    signs: defaultdict[tuple[str | None, Any], set[str]] = defaultdict(set)
    for username, visitor, found in rows:
        if username is None and visitor is None:
            continue
        items[username, visitor] += 1
        signs[username, visitor].update(found)
    most = items.most_common(MOST_SHOWN)
    records = ContributorRecord.objects.select_related("owner").filter(
        Q(owner__username__in=[name for (name, _visitor), _n in most if name])
        | Q(visitor__in=[visitor for (_name, visitor), _n in most if visitor])
    )
    by_person = {(each.owner.username if each.owner else None, each.visitor): each for each in records}
    labels = dict(Sign.choices)
    return [
        Suspect(
            name=username or str(visitor),
            items=count,
            signs=sorted(str(labels.get(sign, sign)) for sign in signs[username, visitor]),
            record=by_person.get((username, visitor)),
        )
        for (username, visitor), count in most
    ]
