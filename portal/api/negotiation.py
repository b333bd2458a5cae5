"""Which format an answer has: `?format=` before the Accept header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from portal.api.problems import FieldError, Problem
from portal.exports.formats import FORMATS


class FormatNegotiation(DefaultContentNegotiation):
    """DRF's, except that a format which is not offered is a named error in place of a 404."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        wanted = request.query_params.get("format")
        names = ", ".join(str(renderer.format) for renderer in renderers)
        if wanted is not None:
            for renderer in renderers:
                if renderer.format == wanted:
                    return renderer, str(renderer.media_type)
            detail = _("Must be one of: %s.") % names
            raise Problem("invalid-request", f"format: {detail}", (FieldError(detail, parameter="format"),))
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        except exceptions.NotAcceptable as error:
            offered = ", ".join(str(renderer.media_type) for renderer in renderers)
            raise Problem("not-acceptable", _("Offered are: %s.") % offered) from error
        return chosen


class StreamedRenderer(BaseRenderer):
    """Stands for a format in the negotiation; the view streams it itself."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        raise NotImplementedError


class JsonLinesRenderer(StreamedRenderer):
    format = FORMATS["jsonl"].name
    media_type = FORMATS["jsonl"].media_type


class CsvRenderer(StreamedRenderer):
    format = FORMATS["csv"].name
    media_type = FORMATS["csv"].media_type
    charset = "utf-8"


class ParquetRenderer(StreamedRenderer):
    format = FORMATS["parquet"].name
    media_type = FORMATS["parquet"].media_type


class MarkdownRenderer(StreamedRenderer):
    format = "md"
    media_type = "text/markdown"
    charset = "utf-8"


class EventStreamRenderer(StreamedRenderer):
    format = "events"
    media_type = "text/event-stream"
    charset = "utf-8"
