"""The history as people read it: what happened in words, who did it, and which values took whose place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import CharField, Field, TextField
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.accounts.models import User
from portal.reviews.models import Event
from portal.reviews.models.limitations import Rule
from portal.reviews.models.queue import EnteredBy, Sign
from portal.reviews.settling import ItemState, Kind, Reason, Verdict
from portal.reviews.told_values import told_value

# What can be recorded, by the name under which it is.
ACTIONS: Final = {
    "added": gettext_lazy("Added"),
    "answered": gettext_lazy("Answered by the contributor"),
    "blocked": gettext_lazy("Blocked"),
    "changed": gettext_lazy("Changed"),
    "deleted": gettext_lazy("Deleted"),
    "edited": gettext_lazy("Changed by the contributor"),
    "entered": gettext_lazy("Entered the queue"),
    "given": gettext_lazy("Given"),
    "gold": gettext_lazy("Made a gold item"),
    "lifted": gettext_lazy("Block lifted"),
    "made": gettext_lazy("Limitation made"),
    "quarantined": gettext_lazy("Quarantined"),
    "released": gettext_lazy("Let out of quarantine"),
    "reopened": gettext_lazy("Verdicts set aside, reopened"),
    "replay judged": gettext_lazy("Replayed answer judged"),
    "replayed": gettext_lazy("Replayed"),
    "reverted": gettext_lazy("A reviewer's verdicts set aside"),
    "state": gettext_lazy("Moved"),
    "undone": gettext_lazy("Verdict undone"),
    "verdict": gettext_lazy("Verdict given"),
    "withdrawn": gettext_lazy("Withdrawn"),
}
_LABELS: Final = {
    "after": gettext_lazy("State"),
    "flipped": gettext_lazy("Flipped"),
    "kind": gettext_lazy("Role"),
    "name": gettext_lazy("Name"),
    "outcome": gettext_lazy("Outcome"),
    "policy": gettext_lazy("Version of the rules"),
    "reason": gettext_lazy("Reason"),
    "reports": gettext_lazy("Reports"),
    "reviews": gettext_lazy("Verdicts set aside"),
    "rule": gettext_lazy("Rule"),
    "run": gettext_lazy("Run"),
    "runs": gettext_lazy("Runs"),
    "signs": gettext_lazy("Signs of abuse"),
    "until": gettext_lazy("Until"),
    "variant": gettext_lazy("Variant"),
    "verdict": gettext_lazy("Verdict"),
    "verdicts_set_aside": gettext_lazy("Verdicts set aside"),
    "version": gettext_lazy("Version"),
}
_ITEM, _LIMITATION = "reviews.reviewitem", "reviews.limitation"
_VALUES: Final[dict[tuple[str, str], Mapping[Any, Any]]] = {
    (_ITEM, "after"): dict(ItemState.choices),
    (_ITEM, "kind"): dict(Kind.choices),
    (_ITEM, "outcome"): dict(Verdict.choices),
    (_ITEM, "reason"): dict(Reason.choices),
    (_ITEM, "rule"): dict(EnteredBy.choices),
    (_ITEM, "signs"): dict(Sign.choices),
    (_ITEM, "verdict"): dict(Verdict.choices),
    (_LIMITATION, "rule"): dict(Rule.choices),
}


@dataclass(frozen=True, slots=True)
class ToldChange:
    """One thing that an entry says: of what, and what."""

    label: str
    words: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry with its actor's name, a deleted account's number; `thing` says what kind of thing it is about."""

    event: Event
    actor: str
    action: str
    thing: str
    changes: list[ToldChange]


def told_history(events: Iterable[Event]) -> list[HistoryEntry]:
    """Entries in words, with their actors' names in one query more."""
    listed = list(events)
    people = User.objects.in_bulk({event.actor_id for event in listed} - {None})
    return [
        HistoryEntry(
            event=event,
            actor=_name(people.get(event.actor_id), event.actor_id),
            action=str(ACTIONS.get(event.action, event.action)),
            thing=thing_name(event.target),
            changes=list(told_changes(event)),
        )
        for event in listed
    ]


def thing_name(target: str) -> str:
    """What people call the kind of thing that is recorded as `target`; that itself when there is none any more."""
    try:
        return str(capfirst(apps.get_model(target)._meta.verbose_name))  # noqa: SLF001
    except (LookupError, ValueError):
        return target


def told_changes(event: Event) -> Iterator[ToldChange]:
    """What an entry says beside what happened. What was empty and what says nothing is left out."""
    for name, value in event.changes.items():
        # Told with what came after it; and a number by which nobody finds anything.
        if (name == "before" and "after" in event.changes) or name == "review":
            continue
        column, _dot, key = name.partition(".")
        field = _field(event.target, column)
        labels = _VALUES.get((event.target, column)) or dict(getattr(field, "flatchoices", None) or ())
        is_text = not key and _is_written(column, field)
        if pair := _pair(event, name, value):
            before, after = (told_value(each, labels, is_text=is_text) or _("nothing") for each in pair)
            words = before if before == after else f"{before} → {after}"
        elif column == "reviews" and isinstance(value, list):
            words = str(len(value))
        else:
            words = _moment(value) if column == "until" else told_value(value, labels, is_text=is_text)
        if words:
            label = _label(event.action, column, field)
            yield ToldChange(str(capfirst(label)) + (f", {key}" if key else ""), words)


def _label(action: str, column: str, field: Field[Any, Any] | None) -> str:
    """What is told. Of a row that changed they are its columns, which share names with what else is recorded."""
    own = str(field.verbose_name) if field is not None else ""
    told = str(_LABELS.get(column, ""))
    return (own or told if action == "changed" else told or own) or column.replace("_", " ")


def _is_written(column: str, field: Field[Any, Any] | None) -> bool:
    """Whether the column holds a text and never nothing: its words stand for themselves, "None" and "True" too."""
    return column == "name" or (isinstance(field, CharField | TextField) and not field.null)


def _pair(event: Event, name: str, value: Any) -> tuple[Any, Any] | None:
    """Before and after, where the entry has both."""
    if name == "after" and "before" in event.changes:
        return event.changes["before"], value
    if event.action == "changed" and isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None


def _moment(value: Any) -> str:
    at = parse_datetime(value) if isinstance(value, str) else None
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else str(value or "")


def _field(target: str, column: str) -> Field[Any, Any] | None:
    try:
        found = apps.get_model(target)._meta.get_field(column.removesuffix("_id"))  # noqa: SLF001
    except (LookupError, ValueError, FieldDoesNotExist):
        return None
    return found if isinstance(found, Field) else None


def _name(person: User | None, actor_id: int | None) -> str:
    if person is not None:
        return person.get_username()
    return _("account %(number)d (deleted)") % {"number": actor_id} if actor_id is not None else ""
