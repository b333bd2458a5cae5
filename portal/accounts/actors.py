"""Who is acting: a signed-in user, or an anonymous visitor known by a key in the session."""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass, field

from django.db.models import Q
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from portal.accounts.models import ApiToken, User

VISITOR_SESSION_KEY = "visitor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Exactly one of `user` and `visitor` is set, or neither for a stranger who owns nothing yet.

    `network` is where the request came from: an IPv4 address or an IPv6 /64. Who is anonymous can drop the session's
    cookie, so limits on visitors also count per network. `api_token` is what a client showed, if it is one.
    """

    user: User | None = None
    visitor: uuid.UUID | None = None
    network: str = field(default="", compare=False)
    api_token: ApiToken | None = field(default=None, compare=False)

    @property
    def network_digest(self) -> str:
        """Tells whether two came from one network, and not from which; empty where the network is not known."""
        # The salt is that of the first digests which were kept: another one would make them strangers.
        return salted_hmac("feedback.network", self.network).hexdigest()[:20] if self.network else ""

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


def request_network(request: HttpRequest) -> str:
    """The network of a request's peer; behind a proxy, uvicorn's --proxy-headers makes REMOTE_ADDR the client's."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def current_actor(request: HttpRequest) -> Actor:
    """The actor of a request; somebody new stays a stranger and gets no cookie."""
    if request.user.is_authenticated:
        assert isinstance(request.user, User)
        return Actor(user=request.user, network=request_network(request))
    key = request.session.get(VISITOR_SESSION_KEY)
    return Actor(visitor=uuid.UUID(key) if key else None, network=request_network(request))


def identified_actor(request: HttpRequest) -> Actor:
    """The actor of a request that will own something: a stranger becomes a visitor with a session."""
    actor = current_actor(request)
    if actor.user is None and actor.visitor is None:
        visitor = uuid.uuid4()
        request.session[VISITOR_SESSION_KEY] = str(visitor)
        return Actor(visitor=visitor, network=actor.network)
    return actor
