"""The API explained: the OpenAPI document, two ways to browse it, the list of problems; all served from here."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from csp.constants import SELF
from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.problems import PROBLEMS, Problem, problem_document
from portal.api.resources import RESOURCES


class SchemaView(SpectacularAPIView):
    """The OpenAPI 3.1 document, YAML or (`Accept: application/json`) JSON."""

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        name = self._get_filename(request, None)  # type: ignore[no-untyped-call]
        return HttpResponse(
            _written_document(renderer.media_type, _known_language()),
            content_type=renderer.media_type,
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )


def _known_language() -> str:
    """`?lang=` may be any text, and each would be another document to make and to keep."""
    language = get_language()
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


@cache
def _written_document(media_type: str, language: str) -> bytes:
    """The same for everybody and until the code changes; making it takes seconds of processor time."""
    with override(language):
        document = SchemaView.generator_class().get_schema(public=True)  # type: ignore[no-untyped-call]
    renderer = next(each for each in SchemaView.renderer_classes if each.media_type == media_type)
    written = renderer().render(document, renderer_context={})
    return written.encode() if isinstance(written, str) else written


class SwaggerView(SpectacularSwaggerSplitView):
    """Swagger UI, its set-up script as an answer of its own, because the CSP allows no inline script."""

    url_name = "api:schema"
    template_name = "api/swagger.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response.data["resources"] = RESOURCES
        return response


# ReDoc's styled-components put their rules into style elements that are empty in the document, and one script of it
# writes a fixed one. These are the SHA-256 of exactly those two contents: no other inline style is allowed, and nothing
# changes for scripts. The browser test fails when a new ReDoc needs another.
REDOC_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)


@method_decorator(csp_update({"style-src": [SELF, *REDOC_STYLES]}), name="dispatch")
class RedocView(SpectacularRedocView):
    """ReDoc."""

    url_name = "api:schema"
    template_name = "api/redoc.html"


@csrf_exempt
def unknown_address(request: HttpRequest, rest: str = "/") -> HttpResponse:
    """/api/ and /api/v1/ themselves, and whatever else is asked for below /api/v1/."""
    sentences = [_("There is nothing at this address."), _("What there is: %s.") % reverse("api:docs")]
    if not rest.endswith("/"):
        sentences.insert(1, _("Every address of this API ends with a slash."))
    return problem_document(request, Problem("not-found", " ".join(sentences)))


@require_safe
def problem_list(request: HttpRequest) -> HttpResponse:
    """What each problem `type` means."""
    problems = [(code, int(status), title) for code, (status, title) in PROBLEMS.items()]
    return render(request, "api/problems.html", {"problems": problems})
