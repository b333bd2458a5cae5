"""The status page: what `/readyz` tells a machine, for people, with each variant's queue; and the favicon's address."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from portal.operations.load import variant_loads, workers_at_work
from portal.operations.readiness import readiness


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """200 even while something is missing: the page itself works, and says what does not."""
    parts = readiness()
    queryable = all(part.ok for part in parts if part.name in {"database", "migrations"})
    return render(
        request,
        "operations/status.html",
        {
            "parts": parts,
            "ready": all(part.ok for part in parts),
            "variants": variant_loads() if queryable else [],
            "workers": workers_at_work() if queryable else None,
        },
    )


@require_safe
@cache_control(public=True, max_age=86400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for the icon of a page that names none, such as the administration's."""
    return redirect(static("steelyard/favicon-32.png"))
