"""`/healthz` and `/readyz`, for supervisors and load balancers, and `/metrics` for a scraper that has its token.

Answered before every other middleware: a probe names an address that is in no ALLOWED_HOSTS, speaks plain HTTP, and
must cost no session. `/healthz` asks nothing but this process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from portal.operations.metrics import CONTENT_TYPE, metrics_text
from portal.operations.readiness import readiness

HEALTH_PATH: Final = "/healthz"
HEALTH_BODY: Final = b"ok\n"
READY_PATH: Final = "/readyz"
METRICS_PATH: Final = "/metrics"

Handler = Callable[[HttpRequest], HttpResponseBase]


class ProbeMiddleware:
    """Answers the two probes, and metrics to who has the token; passes everything else on."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == HEALTH_PATH:
            return healthz(request)
        if request.path_info == READY_PATH:
            return readyz(request)
        if request.path_info == METRICS_PATH and _has_metrics_token(request):
            return metrics(request)
        return self._get_response(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers at all."""
    return _uncached(HttpResponse(HEALTH_BODY, content_type="text/plain"))


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


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """200 whatever is away, which is what it says then. The caller has seen to it that they may know."""
    return _uncached(HttpResponse(metrics_text(), content_type=CONTENT_TYPE))


def _has_metrics_token(request: HttpRequest) -> bool:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    wanted: str = settings.METRICS_TOKEN
    # Without a token of the installation's, none is right: not an empty one either.
    return (
        bool(wanted) and scheme.lower() == "bearer" and secrets.compare_digest(token.strip().encode(), wanted.encode())
    )


def _uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response
