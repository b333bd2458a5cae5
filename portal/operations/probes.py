"""`/healthz` and `/readyz`, for supervisors and load balancers.

Answered before every other middleware: a probe names an address that is in no ALLOWED_HOSTS, speaks plain HTTP, and
must cost no session. `/healthz` asks nothing but this process.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from portal.operations.readiness import readiness

HEALTH_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"

Handler = Callable[[HttpRequest], HttpResponseBase]


class ProbeMiddleware:
    """Answers the two probes and passes everything else on."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == HEALTH_PATH:
            return healthz(request)
        if request.path_info == READY_PATH:
            return readyz(request)
        return self._get_response(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers at all."""
    return _uncached(HttpResponse("ok\n", content_type="text/plain"))


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when prompts would be answered now, else 503; the JSON says for each part whether it works."""
    parts = readiness()
    ready = all(part.ok for part in parts)
    document = {
        "ready": ready,
        "missing": [part.name for part in parts if not part.ok],
        "parts": {part.name: {"ok": part.ok, "detail": part.detail} for part in parts},
    }
    response = JsonResponse(document, status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)
    # "Not yet" is an answer and no error; Django would log each as one, several a second while things start.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return _uncached(response)


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
