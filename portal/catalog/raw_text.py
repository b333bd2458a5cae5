"""A revision's text as a download, byte for byte, as model hubs serve it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from portal.catalog.models import CardRevision


def raw_text_response(request: HttpRequest, revision: CardRevision) -> HttpResponseBase:
    """README.md, or 304 for who has this text already."""
    response = HttpResponse(
        revision.text.encode(),
        content_type="text/markdown; charset=utf-8",
        headers={
            "Content-Disposition": 'inline; filename="README.md"',
            "ETag": f'"{revision.sha256}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
    return get_conditional_response(request, etag=response["ETag"], response=response) or response
