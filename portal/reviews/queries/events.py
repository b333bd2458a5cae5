"""The history for operators: filtered, newest first, by a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from portal.accounts.models import User
from portal.reviews.models import Event
from portal.reviews.queries.told_history import HistoryEntry, told_history

PER_PAGE: Final = 100
MAX_CHARACTERS: Final = 60
TARGETS: Final = (
    "reviews.reviewitem",
    "reviews.limitation",
    "reviews.queuepolicy",
    "reviews.block",
    "feedback.submission",
    "arena.vote",
    "feedback.questionnaire",
    "feedback.question",
    "feedback.campaign",
    "catalog.modelcard",
    "catalog.cardrevision",
    "catalog.variant",
)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: list[HistoryEntry]
    older: str


def history_page(target: str, target_id: str, actor: str, action: str, before: str) -> HistoryPage:
    """`actor` is a user name; `before` the number of the last entry that was seen."""
    events = Event.objects.all()
    if target in TARGETS:
        events = events.filter(target=target)
    if target_id:
        events = events.filter(target_id=target_id[:MAX_CHARACTERS])
    if actor:
        person = User.objects.filter(username__iexact=actor[:MAX_CHARACTERS]).first()
        events = events.filter(actor_id=person.pk if person is not None else -1)
    if action:
        events = events.filter(action=action[:MAX_CHARACTERS])
    if before.isascii() and before.isdigit() and len(before) <= 18:
        last = Event.objects.filter(pk=int(before)).first()
        if last is not None:
            events = events.filter(Q(at__lt=last.at) | Q(at=last.at, id__lt=last.pk), at__lte=last.at)
    rows = list(events[: PER_PAGE + 1])
    older = str(rows[PER_PAGE - 1].pk) if len(rows) > PER_PAGE else ""
    return HistoryPage(told_history(rows[:PER_PAGE]), older)
