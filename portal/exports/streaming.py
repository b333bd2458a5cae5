"""An export as an HTTP answer: streamed in pieces, text compressed as the client accepts it."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from portal.accounts.streaming import stream_pieces
from portal.exports.compression import accepted_coding, compressed
from portal.exports.downloads import Download
from portal.exports.formats import ExportFormat
from portal.exports.tables import Plan
from portal.playground.fanout import is_anybody_watching


def stream_export(
    request: HttpRequest, name: str, plan: Plan, form: ExportFormat, download: Download | None = None
) -> StreamingHttpResponse:
    """Send an export as it is read; each piece is a few short queries, and between pieces nothing is held.

    `download` is told how far it is; a HEAD sends nothing to tell of.
    """
    coding = accepted_coding(request.headers.get("Accept-Encoding", "")) if form.is_text else None
    found = plan.pieces(form)
    if download is not None and request.method != "HEAD":
        found = download.followed(found, plan.expected() if plan.expected is not None else None)
    pieces = compressed((piece for piece, _rows in found if piece), coding)
    charset = "; charset=utf-8" if form.name in {"csv", "jsonl"} else ""
    response = stream_pieces(
        request,
        pieces,
        content_type=f"{form.media_type}{charset}",
        filename=f"{name}-{timezone.now():%Y%m%dT%H%M%SZ}.{form.name}",
        # Somebody waits for a run's tokens: they see a delay, and who downloads does not.
        makes_way=is_anybody_watching,
    )
    if form.is_text:
        patch_vary_headers(response, ["Accept-Encoding"])
    if coding is not None:
        response["Content-Encoding"] = coding
    return response
