"""Which visitors a browser may still come back as: those whose key is in a session that is not over."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterator
from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.utils import timezone

from portal.accounts.actors import VISITOR_SESSION_KEY

_READ_AT_ONCE: Final = 1_000


class SessionsUnreadable(Exception):
    """Most sessions were signed with another key, so who is in them is not known here."""


def living_visitors(among: Container[uuid.UUID]) -> set[uuid.UUID]:
    """Those of them who have a living session. The keys stand inside the sessions, so every living one is read.

    Raises SessionsUnreadable where that says nothing. A few that cannot be read let nobody in: the web processes
    cannot read them either.
    """
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    living, sessions, unreadable = set(), 0, 0
    for data in _living_sessions(store):
        sessions += 1
        try:
            # Not `store.decode`, which takes one that it cannot read for an empty one.
            session = signing.loads(data, salt=store.key_salt, serializer=store.serializer)
        except Exception:  # noqa: BLE001  whatever is wrong with it, as in Django's own reading
            unreadable += 1
            continue
        visitor = _visitor_in(session)
        if visitor is not None and visitor in among:
            living.add(visitor)
    if unreadable * 2 > sessions:
        raise SessionsUnreadable(f"{unreadable} of {sessions} living sessions cannot be read with this SECRET_KEY")
    return living


def _living_sessions(store: Any) -> Iterator[str]:
    """What is in them, some at a time: while one statement reads them all, SQLite could not tidy up its log."""
    living = store.get_model_class().objects.filter(expire_date__gt=timezone.now()).order_by("pk")
    rows = list(living.values_list("pk", "session_data")[:_READ_AT_ONCE])
    while rows:
        yield from (data for _key, data in rows)
        rows = list(living.filter(pk__gt=rows[-1][0]).values_list("pk", "session_data")[:_READ_AT_ONCE])


def _visitor_in(session: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(session[VISITOR_SESSION_KEY])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
