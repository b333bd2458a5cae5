"""Items for reviewers: which one may be judged by whom, and a page of a list however long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.models import Vote
from portal.feedback.models import Answer, Submission
from portal.feedback.queries import said_in
from portal.reviews.models import Review, ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.measuring import ItemReader, shown_to
from portal.reviews.settling import ItemState

PER_PAGE: Final = 50
# What a list shows of a row's neighbours: to load all that they hold costs more than the list itself.
_LISTED: Final = (
    *(field.name for field in ReviewItem._meta.concrete_fields),  # noqa: SLF001
    "submission__generation__prompt",
    "submission__withdrawn_at",
    "vote__kind",
    "vote__outcome",
    "vote__reasons",
    "vote__withdrawn_at",
    "card__owner_name",
    "card__slug",
    "variant__slug",
    "variant__card__owner_name",
    "variant__card__slug",
    "campaign__slug",
    "campaign__title",
    "claimed_by__username",
)


def may_review(user: User) -> bool:
    return user.is_authenticated and (user.has_role(Role.REVIEWER) or user.has_role(Role.MAINTAINER))


def claimable_by(reviewer: User, filters: QueueFilters | None = None) -> QuerySet[ReviewItem]:
    """Items that wait for somebody, that nobody holds, and that this reviewer may judge; the most urgent first.

    Nobody judges what is their own, or judges twice; who judged already is no third person to adjudicate either.
    """
    items = _judgeable_by(reviewer, ReviewItem.objects.filter(is_claimable=True))
    if not reviewer.has_role(Role.MAINTAINER):
        items = items.filter(needs_maintainer=False)
    return (filters or QueueFilters()).narrow(items).select_related("policy").order_by("-priority", "entered_at", "id")


def gold_for(reviewer: User, filters: QueueFilters | None = None) -> QuerySet[ReviewItem]:
    """Gold items that this reviewer has not met, as far as they would fit the filters if they waited."""
    rest = (filters or QueueFilters()).of_unjudged()
    gold = ReviewItem.objects.filter(is_gold=True) if rest is not None else ReviewItem.objects.none()
    return _judgeable_by(reviewer, rest.narrow(gold) if rest is not None else gold).order_by("id")


def _judgeable_by(reviewer: User, items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    free = Q(claim_expires_at__isnull=True) | Q(claim_expires_at__lte=timezone.now()) | Q(claimed_by=reviewer)
    judged = Review.objects.filter(item=OuterRef("pk"), reviewer=reviewer, superseded_at=None)
    return items.filter(free, ~Exists(judged)).exclude(submission__owner=reviewer).exclude(vote__owner=reviewer)


def judged_by(reviewer: User, items: Iterable[ReviewItem]) -> set[int]:
    """The numbers of those of these items on which a verdict of the reviewer's counts."""
    judged = Review.objects.filter(reviewer=reviewer, superseded_at=None, item__in=[item.pk for item in items])
    return set(judged.values_list("item", flat=True))


def held_by(reviewer: User) -> ReviewItem | None:
    """The item that the reviewer holds now."""
    return (
        ReviewItem.objects.filter(claimed_by=reviewer, claim_expires_at__gt=timezone.now())
        .order_by("-claimed_at")
        .first()
    )


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some rows of a list, and the addresses' cursors to those before and after."""

    items: list[ReviewItem]
    older: str
    is_first: bool
    # What each submission says, where the list is data: question key → value.
    said: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)


def list_items(
    reader: ItemReader, filters: QueueFilters, cursor: str = "", per_page: int = PER_PAGE, *, as_data: bool = False
) -> ItemPage:
    """Newest first. The cursor is the last row that was seen, so that page 10,000 costs what the first one does.

    `as_data` are rows for programs: without their runs, and without who gave and who holds them.
    """
    at = read_cursor(cursor)
    found: list[ReviewItem] = []
    for fitting in reader.fitting(filters):
        items = fitting.order_by("-entered_at", "-id")
        if at is not None:
            items = items.filter(Q(entered_at__lt=at[0]) | Q(entered_at=at[0], id__lt=at[1]), entered_at__lte=at[0])
        if len(found) > per_page:
            # What is older than a full page is not on it.
            items = items.filter(entered_at__gte=found[-1].entered_at)
        found += (_told(items) if as_data else _with_what_was_said(items))[: per_page + 1]
    rows = sorted(found, key=lambda item: (item.entered_at, item.pk), reverse=True)[: per_page + 1]
    has_older = len(rows) > per_page
    rows = shown_to(reader.person, rows[:per_page])
    older = f"{rows[-1].entered_at.isoformat()}~{rows[-1].pk}" if has_older else ""
    said = said_in([item.submission_id for item in rows if item.submission_id is not None]) if as_data else {}
    return ItemPage(rows, older, at is None, said)


def _with_what_was_said(items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    """Each with its submission, run, card and answers, in three queries."""
    # The few questions once, and not with each answer: their options and translations are JSON.
    answers = Answer.objects.select_related(None).prefetch_related("question")
    rows = items.select_related("submission__generation", "vote", "card", "variant__card", "campaign", "claimed_by")
    return rows.only(*_LISTED).prefetch_related(Prefetch("submission__answers", answers))


def _told(items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    """Each with what a row of data tells of it, in a few queries; what many have in common is made once."""
    return items.prefetch_related(
        Prefetch("submission", Submission.objects.only("withdrawn_at")),
        Prefetch("vote", Vote.objects.only("outcome", "reasons", "withdrawn_at")),
        "card",
        "variant__card",
        "campaign",
    )


def read_cursor(text: str) -> tuple[datetime, int] | None:
    """The place that a cursor names; None for what is none."""
    when, _tilde, key = text.partition("~")
    try:
        at = datetime.fromisoformat(when)
    except ValueError:
        return None
    if at.tzinfo is None or not (key.isascii() and key.isdigit() and len(key) <= 18):
        return None
    return at, int(key)


def hides_verdicts(item: ReviewItem) -> bool:
    """Reviewers stay blind to each other until all have spoken."""
    return item.state in {ItemState.WAITING, ItemState.QUESTION}
