"""Who is acting: a signed-in user, or an anonymous visitor known by a key in the session."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest

from portal.accounts.models import User

VISITOR_SESSION_KEY = "visitor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Exactly one of `user` and `visitor` is set, or neither for a stranger who owns nothing yet."""

    user: User | None = None
    visitor: uuid.UUID | None = None

    def owns(self) -> Q:
        """Selects the rows (with `owner` and `visitor` columns) that are this actor's own."""
        if self.user is not None:
            return Q(owner=self.user)
        if self.visitor is not None:
            return Q(visitor=self.visitor)
        return Q(pk__in=[])

    def ownership(self) -> dict[str, User | uuid.UUID | None]:
        """The column values that make a new row this actor's own. Raises ValueError for a stranger."""
        if self.user is None and self.visitor is None:
            raise ValueError("actor: a stranger can own nothing")
        return {"owner": self.user, "visitor": None if self.user else self.visitor}

    @property
    def limit_key(self) -> str:
        return f"user:{self.user.pk}" if self.user else f"visitor:{self.visitor}"


def current_actor(request: HttpRequest) -> Actor:
    """The actor of a request; somebody new stays a stranger and gets no cookie."""
    if request.user.is_authenticated:
        assert isinstance(request.user, User)
        return Actor(user=request.user)
    key = request.session.get(VISITOR_SESSION_KEY)
    return Actor(visitor=uuid.UUID(key)) if key else Actor()


def identified_actor(request: HttpRequest) -> Actor:
    """The actor of a request that will own something: a stranger becomes a visitor with a session."""
    actor = current_actor(request)
    if actor.user is None and actor.visitor is None:
        visitor = uuid.uuid4()
        request.session[VISITOR_SESSION_KEY] = str(visitor)
        return Actor(visitor=visitor)
    return actor
