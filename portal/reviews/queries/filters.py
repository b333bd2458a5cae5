"""The queue's filters: out of an address, into the database, and back into an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import F, QuerySet
from django.utils import timezone

from portal.arena.models import Kind as ContestKind
from portal.feedback.models import Target
from portal.reviews.models import ReviewItem
from portal.reviews.models.counts import HOURS
from portal.reviews.settling import OPEN_STATES, ItemState, Reason, Verdict

MAX_CHARACTERS: Final = 80
PREFIX: Final = "filter."
# The classes of time from entering to the verdict, by their place in HOURS; the last has no end.
TOOK: Final = frozenset(str(place) for place in range(len(HOURS) + 1))
# What an item can be about: what a submission judges, or the two kinds of votes.
ABOUT: Final = {**dict(Target.choices), **dict(ContestKind.choices)}
_KEY_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class QueueFilters:
    """What a list of items is narrowed to; empty is everything. What is not understood is left out."""

    state: str = ""
    outcome: str = ""
    reason: str = ""
    card: int | None = None
    variant: int | None = None
    campaign: str = ""
    questionnaire: str = ""
    about: str = ""
    language: str = ""
    thumb: str = ""
    signs: bool = False
    took: str = ""
    since: date | None = None
    until: date | None = None
    decided_since: date | None = None
    decided_until: date | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> QueueFilters:
        text = {key: str(query.get(key, "")).strip()[:MAX_CHARACTERS].replace("\x00", "") for key in _NAMES}
        return cls(
            state=text["state"] if text["state"] in {"open", *ItemState.values} else "",
            outcome=text["outcome"] if text["outcome"] in Verdict.values else "",
            reason=text["reason"] if text["reason"] in Reason.values else "",
            card=_key(text["card"]),
            variant=_key(text["variant"]),
            campaign=text["campaign"],
            questionnaire=text["questionnaire"],
            about=text["about"] if text["about"] in ABOUT else "",
            language=text["language"],
            thumb=text["thumb"] if text["thumb"] in {"up", "down"} else "",
            signs=text["signs"] == "1",
            took=text["took"] if text["took"] in TOOK else "",
            since=_date(text["since"]),
            until=_date(text["until"]),
            decided_since=_date(text["decided_since"]),
            decided_until=_date(text["decided_until"]),
        )

    @classmethod
    def from_form(cls, data: Mapping[str, Any]) -> QueueFilters:
        """Those that a form carries along; their names are prefixed, since a form has fields of its own."""
        return cls.from_query({name.removeprefix(PREFIX): data[name] for name in data if name.startswith(PREFIX)})

    @property
    def pairs(self) -> list[tuple[str, Any]]:
        """Name and value of those that narrow something, as a form's fields."""
        values = ((name, getattr(self, name)) for name in _NAMES)
        return [(name, 1 if value is True else value) for name, value in values if value]

    def query(self) -> str:
        """As they stand in an address."""
        return urlencode(self.pairs)

    def of_unjudged(self) -> QueueFilters | None:
        """What these ask of an item without a verdict, but for its state; None where no such item fits them."""
        asks_for_verdicts = (self.outcome, self.reason, self.took, self.decided_since, self.decided_until)
        if any(asks_for_verdicts) or self.state not in {"", "open", ItemState.WAITING}:
            return None
        return replace(self, state="")

    def narrow(self, items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
        if self.state == "open":
            items = items.filter(state__in=OPEN_STATES)
        elif self.state:
            items = items.filter(state=self.state)
        same = ("outcome", "reason", "questionnaire", "language", "thumb")
        items = items.filter(**{name: getattr(self, name) for name in same if getattr(self, name)})
        if self.about:
            items = items.filter(target_kind=self.about)
        if self.card is not None:
            items = items.filter(card_id=self.card)
        if self.variant is not None:
            items = items.filter(variant_id=self.variant)
        if self.campaign:
            items = items.filter(campaign__slug=self.campaign)
        if self.signs:
            items = items.filter(is_suspicious=True)
        return self._narrow_to_times(items)

    def _narrow_to_times(self, items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
        if self.since:
            items = items.filter(entered_at__gte=_start(self.since))
        if self.until:
            items = items.filter(entered_at__lt=_start(self.until + timedelta(days=1)))
        if self.decided_since:
            items = items.filter(decided_at__gte=_start(self.decided_since))
        if self.decided_until:
            items = items.filter(decided_at__lt=_start(self.decided_until + timedelta(days=1)))
        if self.took:
            edges = [timedelta(0), *(timedelta(hours=hours) for hours in HOURS)]
            place = int(self.took)
            items = items.filter(decided_at__isnull=False)
            if place:
                items = items.filter(decided_at__gt=F("entered_at") + edges[place])
            if place < len(HOURS):
                items = items.filter(decided_at__lte=F("entered_at") + edges[place + 1])
        return items


_NAMES: Final = tuple(field.name for field in fields(QueueFilters))


def _key(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _KEY_DIGITS else None


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= timezone.now().year + 1 else None


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
