"""`/api/v1/generations/<id>/trace/` and `…/events/`: a run token by token, as a whole and while it is written."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Final

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request

from portal.accounts.idle_connections import give_connection_back
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.conditions import tagged_unless_known
from portal.api.field_choice import chosen_fields
from portal.api.negotiation import EventStreamRenderer
from portal.api.operation import operation
from portal.api.own_things import own_scopes
from portal.api.problems import FieldError, Problem
from portal.api.runs.generation_rows import EXAMPLE_TRACE, TracePartSerializer, TraceSerializer, trace
from portal.api.runs.generation_views import ID
from portal.playground.access import get_generation
from portal.playground.server_sent import events_response
from portal.playground.stream import BEGINNING, EventType, StreamId

TRACE_FIELDS: Final = tuple(TraceSerializer().fields)
_DELTA: Final = {
    "text": "A",
    "channel": "answer",
    "tokens": [{"id": 49, "text": "A", "logprob": -0.2, "top": []}],
}


class GenerationTrace(ApiView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)

    @operation(
        operation_id="generations_trace",
        summary="Everything about one run",
        description=(
            "The record that its permalink gives (messages, rendered prompt, digests, versions) with every token, its "
            "log-probability and its alternatives. A run that has not ended has no tokens yet."
        ),
        parameters=[ID, schema.fields_parameter(TRACE_FIELDS)],
        responses={200: TracePartSerializer, **schema.problems(404)},
        examples=[OpenApiExample("A trace", value=EXAMPLE_TRACE, response_only=True)],
        tags=["generations"],
    )
    def get(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), TRACE_FIELDS)
        return tagged_unless_known(request, trace(get_generation(self.actor, generation_id)), fields)


class GenerationEvents(ApiView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)
    renderer_classes = [EventStreamRenderer]

    @operation(
        operation_id="generations_events",
        summary="Follow one run",
        description=(
            "Server-sent events, to its end: `queued`, `started`, `delta`, `reset` (forget what came), then `finished` "
            "or `failed`. Who comes back with `Last-Event-ID` goes on behind that event. Leaving stops nothing."
        ),
        parameters=[
            ID,
            schema.last_event_id("[0-9]{1,18}-[0-9]{1,18}"),
        ],
        responses={
            **schema.event_stream([each.value for each in EventType]),
            **schema.problems(404),
        },
        examples=[schema.event_example("1-2", "delta", _DELTA)],
        tags=["generations"],
    )
    def get(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        generation = get_generation(self.actor, generation_id)
        offered = request.headers.get(schema.LAST_EVENT_ID)
        try:
            after = StreamId.parse(offered) if offered is not None else BEGINNING
        except ValueError as error:
            raise bad_last_event_id(error) from error
        give_connection_back()
        return events_response(generation, after, request.method)


def bad_last_event_id(error: ValueError) -> Problem:
    return Problem("invalid-request", str(error), (FieldError(str(error), parameter=schema.LAST_EVENT_ID),))
