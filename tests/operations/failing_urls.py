"""The product's addresses, and views that fail in every way the error pages know."""

from __future__ import annotations

import kombu.exceptions
import redis.exceptions
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

from portal.accounts.limits import LimitExceeded
from portal.urls import handler400, handler403, handler404, handler500
from portal.urls import urlpatterns as product_urls

__all__ = ["handler400", "handler403", "handler404", "handler500"]

FAILURES = {
    "malformed": SuspiciousOperation("secret-detail"),
    "denied": PermissionDenied("secret-detail"),
    "limited": LimitExceeded("prompts", 12, "That is more than 30 per minute."),
    "broken": RuntimeError("secret-detail"),
    "database-away": OperationalError("secret-detail"),
    "store-away": redis.exceptions.ConnectionError("secret-detail"),
    "store-frozen": redis.exceptions.TimeoutError("secret-detail"),
    "broker-away": kombu.exceptions.OperationalError("secret-detail"),
}


def fail(request: HttpRequest, failure: str) -> HttpResponse:
    raise FAILURES[failure]


async def fail_async(request: HttpRequest, failure: str) -> HttpResponse:
    raise FAILURES[failure]


def read_body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.POST)))


@require_POST
def take_form(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@require_safe
async def show_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("take-form/", take_form),
    path("show-async/", show_async),
    path("fail/<str:failure>/", fail),
    path("fail-async/<str:failure>/", fail_async),
    path("api/v1/fail/<str:failure>/", fail),
    path("read-body/", read_body),
    *product_urls,
]
