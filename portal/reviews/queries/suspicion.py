"""Who shows signs of abuse, by the newest marked items: contributors, and networks; and who gave from a network."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from portal.arena.models import Vote
from portal.feedback.models import Submission
from portal.reviews.models import ContributorRecord, ReviewItem
from portal.reviews.models.queue import Sign

NEWEST_MARKED: Final = 500
MOST_SHOWN: Final = 30
# What a block of a network would have met: what came from there lately.
LATELY: Final = timedelta(days=30)


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


@dataclass(frozen=True, slots=True)
class MarkedNetwork:
    """A network among the newest marked items; `name` is what the measures' form takes."""

    name: str
    items: int
    contributors: int


def marked_networks() -> list[MarkedNetwork]:
    """Networks from which more than one contributor's marked items came, by how many those are."""
    marked = ReviewItem.objects.filter(is_suspicious=True).order_by("-entered_at", "-id")
    rows = marked.values_list(
        Coalesce("submission__network_digest", "vote__network_digest"),
        Coalesce("submission__owner", "vote__owner"),
        Coalesce("submission__visitor", "vote__visitor"),
    )[:NEWEST_MARKED]
    items: Counter[str] = Counter()
    contributors: defaultdict[str, set[tuple[Any, Any]]] = defaultdict(set)
    for network, owner, visitor in rows:
        if network:
            items[network] += 1
            contributors[network].add((owner, visitor))
    shared = [(name, count) for name, count in items.most_common() if len(contributors[name]) > 1]
    return [MarkedNetwork(f"network:{name}", count, len(contributors[name])) for name, count in shared[:MOST_SHOWN]]


@dataclass(frozen=True, slots=True)
class FromNetwork:
    """What came from a network in the last 30 days, and of how many accounts and anonymous browsers."""

    submissions: int
    votes: int
    accounts: int
    visitors: int


def from_network(digest: str) -> FromNetwork:
    """Whom a block of the network would keep from giving, as far as the last 30 days tell."""
    lately = {"network_digest": digest, "created_at__gte": timezone.now() - LATELY}
    submissions = _given_by(Submission.objects.filter(**lately))
    votes = _given_by(Vote.objects.filter(**lately))
    people = submissions.keys() | votes.keys()
    return FromNetwork(
        submissions=submissions.total(),
        votes=votes.total(),
        accounts=len({owner for owner, _visitor in people if owner is not None}),
        visitors=len({visitor for _owner, visitor in people if visitor is not None}),
    )


def _given_by(rows: QuerySet[Any]) -> Counter[tuple[Any, Any]]:
    """(account, anonymous browser) → how many are theirs."""
    counted = rows.order_by().values_list("owner", "visitor").annotate(given=Count("pk"))
    return Counter({(owner, visitor): given for owner, visitor, given in counted})
