"""An export as an HTTP answer: streamed in pieces, text compressed as the client accepts it."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from portal.accounts.streaming import stream_pieces
from portal.exports.compression import accepted_coding, compressed
from portal.exports.formats import ExportFormat
from portal.exports.tables import Plan


def stream_export(request: HttpRequest, name: str, plan: Plan, form: ExportFormat) -> StreamingHttpResponse:
    """Send an export as it is read; each piece is a few short queries, and between pieces nothing is held."""
    coding = accepted_coding(request.headers.get("Accept-Encoding", "")) if form.is_text else None
    pieces = compressed((piece for piece, _rows in plan.pieces(form) if piece), coding)
    charset = "; charset=utf-8" if form.name in {"csv", "jsonl"} else ""
    response = stream_pieces(
        request,
        pieces,
        content_type=f"{form.media_type}{charset}",
        filename=f"{name}-{timezone.now():%Y%m%dT%H%M%SZ}.{form.name}",
    )
    if form.is_text:
        patch_vary_headers(response, ["Accept-Encoding"])
    if coding is not None:
        response["Content-Encoding"] = coding
    return response
