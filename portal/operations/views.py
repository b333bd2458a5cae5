"""The status page: what `/readyz` tells a machine, for people, with each variant's queue; `/metrics` for an operator's
browser; and the favicon's address."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from portal.operations import probes
from portal.operations.load import variant_loads, workers_at_work
from portal.operations.readiness import readiness
from portal.reviews.access import require_operator


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


@csrf_exempt  # It changes nothing, and is a 404 to others whatever they send.
def metrics(request: HttpRequest) -> HttpResponse:
    """What a scraper reads, with an operator's session in the place of its token. Raises Http404 for everybody else."""
    require_operator(request)
    return probes.metrics(request)


@require_safe
@cache_control(public=True, max_age=86400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for the icon of a page that names none, such as the administration's."""
    return redirect(static("steelyard/favicon-32.png"))
