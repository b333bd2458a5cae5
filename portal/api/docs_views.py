"""The API explained: the OpenAPI document, two ways to browse it, the list of problems; all served from here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView

from portal.api.problems import PROBLEMS


class SchemaView(SpectacularAPIView):
    """The OpenAPI 3.1 document, YAML or (`Accept: application/json`) JSON."""


class SwaggerView(SpectacularSwaggerSplitView):
    """Swagger UI, its set-up script as an answer of its own, because the CSP allows no inline script."""

    url_name = "api:schema"
    template_name = "api/swagger.html"


class RedocView(SpectacularRedocView):
    """ReDoc."""

    url_name = "api:schema"
    template_name = "api/redoc.html"


@require_safe
def problem_list(request: HttpRequest) -> HttpResponse:
    """What each problem `type` means."""
    problems = [(code, int(status), title) for code, (status, title) in PROBLEMS.items()]
    return render(request, "api/problems.html", {"problems": problems})
