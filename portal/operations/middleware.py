"""Every request has an id: in the answer's header, in the log, on every error page."""

from __future__ import annotations

import re
import secrets

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from collections.abc import Awaitable, Callable
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
_ACCEPTABLE = re.compile(r"^[A-Za-z0-9_-]{8,64}$")


class RequestIdMiddleware:
    """Takes a well-formed X-Request-ID from a proxy, else makes one; sets `request.request_id`."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        offered = request.headers.get(HEADER, "")
        request_id = offered if _ACCEPTABLE.match(offered) else secrets.token_hex(8)
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        if isinstance(response, HttpResponseBase):
            response[HEADER] = request_id
            return response
        return self._with_header(response, request_id)

    async def _with_header(self, pending: Awaitable[HttpResponseBase], request_id: str) -> HttpResponseBase:
        response = await pending
        response[HEADER] = request_id
        return response
