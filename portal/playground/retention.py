"""What goes for good: conversations deleted long ago, and what visitors left whom no browser knows any more."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Model, OuterRef, QuerySet
from django.utils import timezone

from portal.accounts.visitors import SessionsUnreadable, living_visitors
from portal.accounts.writing_turns import in_turns
from portal.playground.models import ACTIVE_STATES, Conversation, Generation, Preset, ShareLink

logger = logging.getLogger(__name__)

# A quota counts the rows of a day, so none of them may go sooner.
SHORTEST_RETENTION: Final = timedelta(days=2)
PURGED_AT_ONCE: Final = 50
# Of each kind of visitors' things, in one round; the next one goes on.
FORGOTTEN_IN_A_ROUND: Final = 10_000
# Some 30 ms of writing.
FORGOTTEN_AT_ONCE: Final = 10


class LeftByVisitors(Protocol):
    """Rows of one kind (all, or those of `among`) that are a visitor's and rest since then, to which nothing leads but
    their visitor's session; those first that have rested longest."""

    def __call__(self, before: datetime, among: Sequence[Any] | None = None) -> QuerySet[Any]: ...


_kinds: Final[list[LeftByVisitors]] = []


def forget_too(kind: LeftByVisitors) -> LeftByVisitors:
    """Have this kind go too; an app above adds its own when it is loaded."""
    _kinds.append(kind)
    return kind


def kept_after_deletion() -> timedelta:
    """How long a deletion can be taken back."""
    return max(timedelta(days=settings.DELETED_CONVERSATION_DAYS), SHORTEST_RETENTION)


def purge_conversations() -> int:
    """Delete for good what was deleted long enough ago. A conversation stays hidden while something else that was given
    (a judgement, a vote) refers to it or its runs."""
    due = _unreferred(Conversation.objects.filter(deleted_at__lt=timezone.now() - kept_after_deletion()))
    doomed = list(due.order_by("deleted_at").values_list("pk", flat=True)[:PURGED_AT_ONCE])
    # Restored in the meantime, it is no longer among them.
    purged, _counts = Conversation.objects.filter(pk__in=doomed, deleted_at__isnull=False).delete()
    return len(doomed) if purged else 0


def forget_visitors() -> int:
    """Delete what visitors left whose session is over, where nothing has happened for the days that the settings say
    and nobody else needs it; how many things. Several processes at once are harmless."""
    if settings.VISITOR_CONVERSATION_DAYS <= 0:
        return 0
    before = timezone.now() - max(timedelta(days=settings.VISITOR_CONVERSATION_DAYS), SHORTEST_RETENTION)
    # To the end, now: a statement that is open keeps SQLite's connection to an old state, in which it cannot write.
    old = [(kind, list(kind(before).values_list("pk", "visitor"))) for kind in _kinds]
    visitors = {visitor for _kind, rows in old for _pk, visitor in rows}
    if not visitors:
        return 0
    try:
        # Not before: it takes a while where many people come.
        living = living_visitors(visitors)
    except SessionsUnreadable as error:
        logger.error(  # noqa: TRY400  where it was raised says nothing
            "Nothing that visitors left is deleted, since it is not known which visitors are gone: %s. Give workers "
            "the SECRET_KEY that the web processes have and, after a change of it, SECRET_KEY_FALLBACKS.",
            error,
        )
        return 0
    return sum(_forget(kind, before, [pk for pk, visitor in rows if visitor not in living]) for kind, rows in old)


def _forget(kind: LeftByVisitors, before: datetime, doomed: Sequence[Any]) -> int:
    forgotten = 0
    for turn in in_turns(doomed[:FORGOTTEN_IN_A_ROUND], FORGOTTEN_AT_ONCE):
        with transaction.atomic():
            # Once more with every condition: a judgement may have come, or its owner signed in.
            still = list(kind(before, turn).select_for_update(of=("self",)))
            if still:
                type(still[0])._default_manager.filter(pk__in=[each.pk for each in still]).delete()  # noqa: SLF001
        forgotten += len(still)
    return forgotten


@forget_too
def left_presets(before: datetime, among: Sequence[Any] | None = None) -> QuerySet[Preset]:
    """A shared one stays for who has its link."""
    left = Preset.objects.filter(visitor__isnull=False, share_token=None, created_at__lt=before).order_by("created_at")
    return left if among is None else left.filter(pk__in=among)


@forget_too
def left_conversations(before: datetime, among: Sequence[Any] | None = None) -> QuerySet[Conversation]:
    """Those of a comparison or battle go with that."""
    left = Conversation.objects.filter(visitor__isnull=False, updated_at__lt=before)
    return needed_by_nobody(left, among).order_by("updated_at")


def needed_by_nobody(
    conversations: QuerySet[Conversation], among: Sequence[Any] | None = None, *, beside: str = ""
) -> QuerySet[Conversation]:
    """Those (all, or of those of `among`) to which nothing leads but their session and, if it is named, an app that
    lets go of them too."""
    runs = Generation.objects.filter(conversation=OuterRef("pk"))
    live = ShareLink.objects.filter(revoked_at=None)
    free = _unreferred(conversations, beside).exclude(
        Exists(runs.filter(state__in=ACTIVE_STATES))
        | Exists(live.filter(conversation=OuterRef("pk")))
        | Exists(live.filter(generation__conversation=OuterRef("pk")))
    )
    if among is not None:
        free = free.filter(pk__in=among)
    for origin in ("rerun_of", "branched_from"):
        free = free.exclude(pk__in=_taken_up_by_others(origin, among))
    return free


def _taken_up_by_others(origin: str, among: Sequence[Any] | None) -> QuerySet[Generation, Any]:
    """The conversations with a run that is the origin of one elsewhere. It asks nothing of the conversation that is
    looked at, so a database reads it once, and not for each."""
    elsewhere = Generation.objects.filter(**{f"{origin}__isnull": False}).exclude(
        conversation=F(f"{origin}__conversation")
    )
    if among is not None:
        elsewhere = elsewhere.filter(**{f"{origin}__conversation__in": among})
    conversations: QuerySet[Generation, Any] = elsewhere.values(f"{origin}__conversation")
    return conversations


def _unreferred(conversations: QuerySet[Conversation], beside: str = "") -> QuerySet[Conversation]:
    """Those to which nothing of other apps points, nor to their runs."""
    return without_referred(conversations, {Generation: "__conversation", Conversation: ""}, beside)


def without_referred(rows: QuerySet[Any], parts: Mapping[type[Model], str], beside: str = "") -> QuerySet[Any]:
    """Those of the rows to which nothing of other apps points (`beside` one, if it is named), nor to their `parts`,
    each with the way from it to its row; no app knows those above it."""
    for model, path in parts.items():
        for relation in _relations_of_other_apps(model, beside):
            referring = relation.related_model.objects.filter(**{f"{relation.field.name}{path}": OuterRef("pk")})
            rows = rows.exclude(Exists(referring))
    return rows


def _relations_of_other_apps(model: Any, beside: str) -> list[Any]:
    """What points at a model from outside, with those relations that have no name on it."""
    fields = model._meta.get_fields(include_hidden=True)  # noqa: SLF001  Django's documented way to a model's relations
    relations = [each for each in fields if each.auto_created and not each.concrete]
    own = {model._meta.app_label, beside}  # noqa: SLF001
    return [each for each in relations if each.related_model._meta.app_label not in own]  # noqa: SLF001
