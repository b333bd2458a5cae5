"""`/api/v1/exports/`: the tables with their schemas, and each as a stream in every format."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import READING, ApiView
from portal.api.feedback_views import PAGE_PARAMETERS
from portal.api.negotiation import CsvRenderer, JsonLinesRenderer, ParquetRenderer
from portal.api.operation import operation
from portal.api.problems import Problem
from portal.exports.criteria import MAX_ECHOED_CHARACTERS, PARAMETERS, Criteria
from portal.exports.formats import FORMATS
from portal.exports.schema import Kind
from portal.exports.streaming import stream_export
from portal.exports.tables import TABLES, ExportTable


class ColumnSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    meaning = serializers.CharField()
    nullable = serializers.BooleanField()


class ExportTableSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    training = serializers.BooleanField()
    filters = serializers.ListField(child=serializers.CharField())
    formats = serializers.ListField(child=serializers.ChoiceField(choices=list(FORMATS)))
    columns = ColumnSerializer(many=True)


class ExportTablesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = ExportTableSerializer(many=True)


def described(table: ExportTable) -> dict[str, Any]:
    """What the list says of a table."""
    return {
        "name": table.name,
        "title": str(table.title),
        "summary": str(table.summary),
        "training": table.is_training,
        "filters": [name for name in PARAMETERS if name in table.filters],
        "formats": list(FORMATS),
        "columns": [
            {
                "name": column.name,
                "kind": column.kind.value,
                "meaning": str(column.meaning),
                "nullable": column.is_nullable,
            }
            for column in table.schema.columns
        ],
    }


_EXAMPLE = OpenApiExample(
    "The tables",
    value={
        "results": [
            {
                "name": "kto",
                "title": "Training set: KTO",
                "summary": "Answers labelled as desirable or not, for TRL's KTOTrainer.",
                "training": True,
                "filters": ["card", "variant", "since", "until"],
                "formats": ["json", "jsonl", "csv", "parquet"],
                "columns": [
                    {"name": "label", "kind": "boolean", "meaning": "Whether it is desirable.", "nullable": False}
                ],
            }
        ]
    },
    response_only=True,
)


class ExportList(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="exports_list",
        summary="The tables that can be exported",
        description="Each with its columns, the filters that it obeys, and its formats.",
        responses={200: ExportTablesSerializer, **schema.problems()},
        examples=[_EXAMPLE],
        tags=["exports"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return Response({"results": [described(table) for table in TABLES.values()]})


class ExportDetail(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}
    renderer_classes = [JSONRenderer, JsonLinesRenderer, CsvRenderer, ParquetRenderer]

    @operation(
        operation_id="exports_read",
        summary="Export one table",
        description=(
            "Streams every row that matches, oldest first, in constant memory. The text formats are compressed with "
            "zstd or gzip when Accept-Encoding asks for it. A filter that the table has no use for is refused."
        ),
        parameters=[
            OpenApiParameter(
                "table", {"type": "string", "enum": list(TABLES)}, OpenApiParameter.PATH, description="Its name."
            ),
            *(each for each in schema.LIST_PARAMETERS if each.name not in PAGE_PARAMETERS),
        ],
        responses={
            (200, "application/json"): {"type": "array", "items": {"type": "object"}},
            **schema.file_response("jsonl", "One row per line."),
            **schema.file_response("csv", "RFC 4180 with a header."),
            **schema.file_response("parquet", "Apache Parquet, typed, zstd."),
            **schema.problems(404),
        },
        examples=[
            OpenApiExample(
                "A row of kto",
                value=[
                    {
                        "prompt": [{"role": "user", "content": "What is a steelyard?"}],
                        "completion": [{"role": "assistant", "content": "A balance with two arms."}],
                        "label": True,
                    }
                ],
                response_only=True,
                media_type="application/json",
            )
        ],
        tags=["exports"],
    )
    def get(self, request: Request, table: str) -> HttpResponseBase:
        if table not in TABLES:
            known = {"given": table[:MAX_ECHOED_CHARACTERS], "known": ", ".join(TABLES)}
            raise Problem("not-found", _("There is no table “%(given)s”. There are: %(known)s.") % known)
        texts = {name: request.query_params[name] for name in request.query_params if name in PARAMETERS}
        plan = TABLES[table].plan(Criteria.from_texts(texts))
        form = FORMATS[str(request.accepted_renderer.format)]
        return stream_export(request._request, table, plan, form)  # noqa: SLF001
