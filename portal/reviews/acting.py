"""Who the request being answered is by, from wherever a change is recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from portal.accounts.models import User

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

# The request and not the person: who it is costs a query, which only a change has to pay.
_current_request: Final[ContextVar[HttpRequest | None]] = ContextVar("current_request", default=None)


def acting_user() -> User | None:
    """The signed-in person of the current request; None for visitors, commands and workers."""
    request = _current_request.get()
    user = getattr(request, "user", None)
    return user if isinstance(user, User) else None


class ActingUserMiddleware:
    """Remembers the request for `acting_user` while it is answered."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._awaited(request)
        token = _current_request.set(request)
        try:
            return self.get_response(request)
        finally:
            _current_request.reset(token)

    async def _awaited(self, request: HttpRequest) -> HttpResponseBase:
        token = _current_request.set(request)
        try:
            response = self.get_response(request)
            assert not isinstance(response, HttpResponseBase)
            return await response
        finally:
            _current_request.reset(token)
