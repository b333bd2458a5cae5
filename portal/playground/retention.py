"""What goes for good: conversations deleted long ago, and those of visitors whom no browser knows any more."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from portal.accounts.visitors import SessionsUnreadable, living_visitors
from portal.accounts.writing_turns import in_turns
from portal.playground.models import ACTIVE_STATES, Conversation, Generation, ShareLink

logger = logging.getLogger(__name__)

# A quota counts the rows of a day, so none of them may go sooner.
SHORTEST_RETENTION: Final = timedelta(days=2)
PURGED_AT_ONCE: Final = 50
# Of visitors, in one round; the next one goes on.
FORGOTTEN_IN_A_ROUND: Final = 10_000


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
    """Delete the conversations of visitors whose session is over, where nothing has happened for the days that the
    settings say and nobody else needs them; how many. Several processes at once are harmless."""
    if settings.VISITOR_CONVERSATION_DAYS <= 0:
        return 0
    before = timezone.now() - max(timedelta(days=settings.VISITOR_CONVERSATION_DAYS), SHORTEST_RETENTION)
    # To the end, now: a statement that is open keeps SQLite's connection to an old state, in which it cannot write.
    old = list(_left_by_visitors(before).order_by("updated_at").values_list("pk", "visitor"))
    if not old:
        return 0
    try:
        # Not before: it takes a while where many people come.
        living = living_visitors({visitor for _pk, visitor in old if visitor})
    except SessionsUnreadable as error:
        logger.error(  # noqa: TRY400  where it was raised says nothing
            "No visitor's conversation is deleted, since it is not known which visitors are gone: %s. Give workers the "
            "SECRET_KEY that the web processes have; after a change of it, this goes on once most sessions are new.",
            error,
        )
        return 0
    doomed = [pk for pk, visitor in old if visitor not in living]
    forgotten = 0
    for turn in in_turns(doomed[:FORGOTTEN_IN_A_ROUND]):
        with transaction.atomic():
            # Once more with every condition: a judgement may have come, or its owner signed in.
            still = list(_left_by_visitors(before, turn).select_for_update(of=("self",)))
            Conversation.objects.filter(pk__in=[each.pk for each in still]).delete()
        forgotten += len(still)
    return forgotten


def _left_by_visitors(before: datetime, among: Sequence[uuid.UUID] | None = None) -> QuerySet[Conversation]:
    """Visitors' conversations (all, or those of `among`) that rest since then, to which nothing leads but their
    session."""
    runs = Generation.objects.filter(conversation=OuterRef("pk"))
    live = ShareLink.objects.filter(revoked_at=None)
    left = _unreferred(Conversation.objects.filter(visitor__isnull=False, updated_at__lt=before)).exclude(
        Exists(runs.filter(state__in=ACTIVE_STATES))
        | Exists(live.filter(conversation=OuterRef("pk")))
        | Exists(live.filter(generation__conversation=OuterRef("pk")))
    )
    if among is not None:
        left = left.filter(pk__in=among)
    for origin in ("rerun_of", "branched_from"):
        left = left.exclude(pk__in=_taken_up_by_others(origin, among))
    return left


def _taken_up_by_others(origin: str, among: Sequence[uuid.UUID] | None) -> QuerySet[Generation, Any]:
    """The conversations with a run that is the origin of one elsewhere. It asks nothing of the conversation that is
    looked at, so a database reads it once, and not for each."""
    elsewhere = Generation.objects.filter(**{f"{origin}__isnull": False}).exclude(
        conversation=F(f"{origin}__conversation")
    )
    if among is not None:
        elsewhere = elsewhere.filter(**{f"{origin}__conversation__in": among})
    conversations: QuerySet[Generation, Any] = elsewhere.values(f"{origin}__conversation")
    return conversations


def _unreferred(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """Those to which nothing of other apps points, nor to their runs; this app does not know those above it."""
    for model, path in ((Generation, "__conversation"), (Conversation, "")):
        for relation in _relations_of_other_apps(model):
            referring = relation.related_model.objects.filter(**{f"{relation.field.name}{path}": OuterRef("pk")})
            conversations = conversations.exclude(Exists(referring))
    return conversations


def _relations_of_other_apps(model: Any) -> list[Any]:
    """What points at a model from outside, with those relations that have no name on it."""
    fields = model._meta.get_fields(include_hidden=True)  # noqa: SLF001  Django's documented way to a model's relations
    relations = [each for each in fields if each.auto_created and not each.concrete]
    return [each for each in relations if not each.related_model.__module__.startswith("portal.playground.")]
