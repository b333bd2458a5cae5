"""What the OpenAPI document says beyond the code: authentication, parameters, problems, examples."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from portal.api.idempotency import HEADER, KEY_PATTERN
from portal.api.problems import MEDIA_TYPE, PROBLEMS
from portal.api.serializers import FeedbackRowSerializer, ProblemSerializer
from portal.exports.formats import FORMATS
from portal.feedback.answer_quality import DOWN, HIGHEST_RATING, LOWEST_RATING, UP
from portal.feedback.models import ReviewState
from portal.reviews.services.verdicts import LABELS

DEFAULT_PAGE_ROWS: Final = 100
MAX_PAGE_ROWS: Final = 1_000


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "portal.api.authentication.BearerTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A token made on the page “API tokens”."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "portal.api.authentication.SessionAuthentication"
    name = "cookieAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def query(name: str, schema: Any, description: Any, **more: Any) -> OpenApiParameter:
    """A parameter of the address."""
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=description, **more)


def in_path(name: str, schema: Any, description: Any) -> OpenApiParameter:
    """A part of the address."""
    return OpenApiParameter(name, schema, OpenApiParameter.PATH, description=description)


def _header(name: str, schema: Any, description: Any) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description)


def names_query(name: str, names: Iterable[str], description: Any, **more: Any) -> OpenApiParameter:
    """A parameter that takes some of these names, separated by commas."""
    names_schema = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(names)}, **more}
    return query(name, names_schema, description, style="form", explode=False)


def fields_parameter(names: Iterable[str]) -> OpenApiParameter:
    """`fields=` of rows with these members."""
    return names_query("fields", names, _("Only these members of a row, separated by commas; JSON only."))


def expand_parameter(names: Iterable[str]) -> OpenApiParameter:
    """`expand=` of rows with these members."""
    return names_query(
        "expand",
        names,
        _("The things that these members name, in the place of the ids of those you may read; JSON only."),
    )


FEEDBACK_FIELDS: Final = tuple(FeedbackRowSerializer().fields)
FEEDBACK_EXPANDABLE: Final = ("generation",)
IF_NONE_MATCH: Final = _header(
    "If-None-Match", {"type": "string"}, _("The ETag that you have: 304 where it still is the one.")
)
IF_MATCH: Final = _header(
    "If-Match", {"type": "string"}, _("The ETag that you change: 412 where it no longer is the one.")
)
IDEMPOTENCY_KEY: Final = _header(
    HEADER,
    {"type": "string", "pattern": KEY_PATTERN},
    _("Your own name for this request, kept for a day: sent again with the same body, it is carried out once."),
)
LAST_EVENT_ID: Final = "Last-Event-ID"


def last_event_id(pattern: str) -> OpenApiParameter:
    """Where a stream goes on."""
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return _header(LAST_EVENT_ID, schema, _("The `id` of the last event that you have."))


def event_stream(names: Iterable[str]) -> dict[tuple[int, str], dict[str, Any]]:
    """A 200 of server-sent events with these names, one of them as its fields."""
    fields = {
        "id": {"type": "string", "description": str(_("Send it as Last-Event-ID to go on behind this event."))},
        "event": {"type": "string", "enum": list(names)},
        "data": {"type": "string", "contentMediaType": "application/json"},
    }
    return {(200, "text/event-stream"): {"type": "object", "properties": fields, "required": ["event", "data"]}}


def event_example(identity: str, name: str, data: Any) -> OpenApiExample:
    value = {"id": identity, "event": name, "data": json.dumps(data)}
    return _example("An event", value, response_only=True, media_type="text/event-stream", status_codes=["200"])


NOT_MODIFIED: Final = {304: OpenApiResponse(description=_("It still is what your ETag says."))}

_RATING: Final = {"type": "integer", "minimum": LOWEST_RATING, "maximum": HIGHEST_RATING}
_MOMENT: Final = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}
_SLUG: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,80}$"}
NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
CARD_NAME: Final = {"type": "string", "title": "owner/name", "pattern": f"^{NAME}/{NAME}$"}
MODEL_ID: Final = {"type": "string", "title": "owner/name:variant", "pattern": f"^{NAME}/{NAME}:{NAME}$"}
LIMIT: Final = query(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_ROWS, "default": DEFAULT_PAGE_ROWS},
    _("Rows per page."),
)
# Of lists that are JSON alone.
PAGE_PARAMETERS: Final = [
    LIMIT,
    query("cursor", {"type": "string"}, _("Where the page begins, as `next` gives it.")),
]
LIST_PARAMETERS: Final = [
    query("card", CARD_NAME, _("Only this card: owner/name.")),
    query("variant", MODEL_ID, _("Only this variant: owner/name:variant.")),
    query("rating", _RATING, _("Only this helpfulness. Not together with rating_min or rating_max.")),
    query("rating_min", _RATING, _("At least this helpfulness.")),
    query("rating_max", _RATING, _("At most this helpfulness.")),
    query("thumb", {"type": "string", "enum": [UP, DOWN]}, _("Only this thumb.")),
    query("since", _MOMENT, _("Created at or after this date, or time with offset.")),
    query("until", _MOMENT, _("Created before this date, or time with offset.")),
    query("questionnaire", _SLUG, _("Only answers to this questionnaire, any version.")),
    query("campaign", _SLUG, _("Only this campaign.")),
    query(
        "language",
        {"type": "string", "pattern": "^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?$"},
        _("Only what was written in this language, ISO 639-1."),
    ),
    query("licence", {"type": "string", "minLength": 1, "maxLength": 60}, _("Only under this licence.")),
    names_query("review_state", ReviewState.values, _("Only in one of these states of review, separated by commas.")),
    query("label", {"type": "string", "enum": list(LABELS)}, _("Only with this label of a reviewer.")),
    query(
        "agreement_min",
        {"type": "string", "pattern": r"^(?:0(?:\.[0-9]{1,4})?|1(?:\.0{1,4})?)$"},
        _("At least this share, from 0 to 1, of two or more independent reviewers said what was decided."),
    ),
    LIMIT,
    fields_parameter(FEEDBACK_FIELDS),
    expand_parameter(FEEDBACK_EXPANDABLE),
    query("cursor", {"type": "string"}, _("Where the page begins, as `next` gives it; JSON only.")),
    query(
        "format",
        {"type": "string", "enum": list(FORMATS)},
        _("The form of the answer, before the Accept header. All but json stream everything that matches."),
    ),
]

EXAMPLE_ANSWERS: Final = {
    "thumb": "down",
    "helpfulness": 2,
    "reasons_down": ["incorrect"],
    "comment": "Names no source.",
}
EXAMPLE_ROW: Final = {
    "id": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "changed_at": "2026-05-01T12:01:30.250000Z",
    "version": 2,
    "contributor": "c4b1d2a90f3e7c6658d21",
    "questionnaire": "answer-quality",
    "questionnaire_version": 1,
    "answers": EXAMPLE_ANSWERS,
    "consent": "publish",
    "licence": "CC-BY-4.0",
    "language": "en",
    "review_state": "unreviewed",
    "generation": "0d4f7f0c-7a55-4d0e-8f1a-93a5b2b4b8e2",
    "card": "owner/name",
    "variant": "bf16",
    "model": "owner/name:bf16",
    "turn": 1,
    "prompt": "What is a steelyard?",
    "output": "A kind of ship.",
    "finish_reason": "stop",
    "params": {"temperature": 0.7, "top_p": 0.95, "max_tokens": 256, "seed": 7},
    "seed": 7,
    "weights_sha256": {"model.safetensors": "9f2b…"},
    "provenance": {"dtype": "bfloat16"},
}


def _example(name: str, value: Any, **more: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, **more)


ROW_EXAMPLE: Final = _example("A judgement", EXAMPLE_ROW, response_only=True)
PAGE_EXAMPLE: Final = _example("A page", {"results": [EXAMPLE_ROW], "next": None}, response_only=True)
SUBMIT_EXAMPLE: Final = _example(
    "A judgement to give",
    {"generation": EXAMPLE_ROW["generation"], "answers": EXAMPLE_ANSWERS},
    request_only=True,
)
REVISE_EXAMPLE: Final = _example(
    "A change", {"answers": {"helpfulness": 3, "comment": None}, "version": 2}, request_only=True
)


def file_response(name: str, description: Any) -> dict[tuple[int, str], OpenApiResponse]:
    """A 200 in one of the streamed formats."""
    form = FORMATS[name]
    kind = OpenApiTypes.STR if form.is_text else OpenApiTypes.BINARY
    return {(200, form.media_type): OpenApiResponse(kind, description=description)}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """The problem documents that an operation can answer, besides those that every operation can."""
    every = (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_REQUEST,
    )
    return {(int(status), MEDIA_TYPE): _problem(HTTPStatus(status)) for status in sorted({*every, *statuses})}


def _problem(status: HTTPStatus) -> OpenApiResponse:
    known = {code: title for code, (each, title) in PROBLEMS.items() if each == status}
    examples = [
        _example(
            code,
            {
                "type": f"/api/problems/#{code}",
                "title": str(title),
                "status": int(status),
                "detail": str(title),
                "instance": "/api/v1/feedback/",
                "request_id": "9d3c5a7b1e2f4860",
            },
            media_type=MEDIA_TYPE,
            status_codes=[str(int(status))],
        )
        for code, title in known.items()
    ]
    return OpenApiResponse(ProblemSerializer, description="; ".join(map(str, known.values())), examples=examples)
