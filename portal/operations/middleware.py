"""What happens around every request: it gets an id, and a failure that we know becomes a page that explains it."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from portal.accounts.limits import LimitExceeded
from portal.api.unavailable import UNAVAILABLE
from portal.operations.error_pages import method_not_allowed, page_too_many_requests, service_unavailable
from portal.operations.request_ids import current_request_id

HEADER: Final = "X-Request-ID"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,64}")

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Takes a well-formed X-Request-ID from a proxy, else makes one: `request.request_id`, the log, the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        offered = request.headers.get(HEADER, "")
        request_id = offered if _ACCEPTABLE.fullmatch(offered) else secrets.token_hex(8)
        request.request_id = request_id  # type: ignore[attr-defined]
        current_request_id.set(request_id)
        response = self._get_response(request)
        response[HEADER] = request_id
        return response


class KnownFailureMiddleware:
    """Turns what a view may honestly fail with into its page: a limit reached, a data service away, a wrong method."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        return method_not_allowed(request, response["Allow"]) if _is_untold(response) else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, LimitExceeded):
            return page_too_many_requests(request, exception)
        if isinstance(exception, UNAVAILABLE):
            logger.error("%s %s: a data service is away", request.method, request.path, exc_info=exception)
            return service_unavailable(request)
        return None


def _is_untold(response: HttpResponseBase) -> bool:
    """Django answers a method that an address does not take with an empty page."""
    return isinstance(response, HttpResponseNotAllowed) and not response.content
