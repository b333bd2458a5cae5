"""`/api/v1/conversations/`: one's own trees of runs; nobody else finds them."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Any, Final

from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request

from portal.api import schema
from portal.api.conditions import require_match, tagged, tagged_unless_known
from portal.api.expansion import expanded, read_expand
from portal.api.feedback_views import ApiView
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done
from portal.api.own_things import NoMembers, answer_once, own_scopes, read_body
from portal.api.paging import PAGE_PARAMETERS, read_newest_page
from portal.api.problems import placing
from portal.api.runs.bodies import text_field
from portal.api.runs.conversation_rows import (
    CONVERSATION_EXAMPLE,
    CONVERSATION_FIELDS,
    DETAIL_FIELDS,
    EXAMPLE_CONVERSATION,
    EXPANDABLE,
    ConversationDetailPartSerializer,
    ConversationDetailSerializer,
    ConversationPageSerializer,
    conversation_detail,
    conversation_row,
)
from portal.api.serializers import StrictSerializer
from portal.exports.criteria import InvalidCriterion
from portal.playground.access import get_conversation, get_deleted_conversation
from portal.playground.conversation_services import (
    create_conversation,
    delete_conversation,
    restore_conversation,
    revise_conversation,
)
from portal.playground.queries import MAX_SEARCH_CHARACTERS, latest_variants, list_conversations, own_conversations

_ID: Final = schema.in_path("conversation_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))


class ConversationView(ApiView):
    """What the addresses of a conversation share."""

    def _shown(self, conversation_id: uuid.UUID) -> dict[str, Any]:
        """Raises Http404."""
        conversation = own_conversations(self.actor).filter(pk=conversation_id).first()
        if conversation is None:
            raise Http404
        return conversation_detail(conversation)


class ConversationBody(StrictSerializer):
    """A title of your own, and what the model reads before every prompt."""

    title = text_field(required=False)
    system_prompt = text_field(required=False, allow_blank=True)


_BODY_EXAMPLE: Final = OpenApiExample(
    "A title and a system prompt",
    value={"title": "On balances", "system_prompt": "Answer in one sentence."},
    request_only=True,
)


class ConversationList(ConversationView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST)
    parameters = ("q", "deleted", "fields", "expand", *PAGE_PARAMETERS, "format")

    @extend_schema(
        operation_id="conversations_list",
        summary="Your conversations",
        description="Those of the playground, of /v1 and of this API; the last begun first.",
        parameters=[
            schema.query(
                "q",
                {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_CHARACTERS},
                gettext_lazy("Only with these words in the title, a prompt or an answer."),
            ),
            schema.query("deleted", {"type": "string", "enum": ["1"]}, gettext_lazy("Those that can be restored.")),
            schema.fields_parameter(CONVERSATION_FIELDS),
            schema.expand_parameter(EXPANDABLE),
            *schema.PAGE_PARAMETERS,
            schema.IF_NONE_MATCH,
        ],
        responses={200: ConversationPageSerializer, **schema.NOT_MODIFIED, **schema.problems()},
        examples=[
            OpenApiExample("A page", value={"results": [EXAMPLE_CONVERSATION], "next": None}, response_only=True)
        ],
        tags=["conversations"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = request.query_params
        fields = chosen_fields(asked.get("fields"), CONVERSATION_FIELDS)
        expand = read_expand(asked.get("expand"), EXPANDABLE)
        if asked.get("deleted", "1") != "1":
            raise InvalidCriterion("deleted", _("Must be 1, or left out."))
        found = list_conversations(self.actor, search=_search(asked.get("q")), deleted="deleted" in asked)
        page, following = read_newest_page(request, found)
        variants = latest_variants(page)
        rows = expanded(self.actor, [conversation_row(each, variants) for each in page], expand)
        return tagged_unless_known(request, {"results": [only_fields(row, fields) for row in rows], "next": following})

    @extend_schema(
        operation_id="conversations_create",
        summary="Begin a conversation",
        description="An empty one. A prompt that names none begins one too.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=ConversationBody,
        responses={201: ConversationDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[_BODY_EXAMPLE, CONVERSATION_EXAMPLE],
        tags=["conversations"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        def act() -> Done:
            given = read_body(request, ConversationBody)
            with placing({}):
                made = create_conversation(self.actor, **given)
            return Done(201, str(made.pk))

        return answer_once(request, self.actor, act, self._shown, "conversation-detail")


class ConversationDetail(ConversationView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.PATCH, HTTPMethod.DELETE)
    parameters = ("fields", "expand", "format")

    @extend_schema(
        operation_id="conversations_retrieve",
        summary="One conversation with its turns",
        description="All branches: each run names its parent, and its place among its siblings.",
        parameters=[
            _ID,
            schema.fields_parameter(DETAIL_FIELDS),
            schema.expand_parameter(EXPANDABLE),
            schema.IF_NONE_MATCH,
        ],
        responses={200: ConversationDetailPartSerializer, **schema.NOT_MODIFIED, **schema.problems(404)},
        examples=[CONVERSATION_EXAMPLE],
        tags=["conversations"],
    )
    def get(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), DETAIL_FIELDS)
        expand = read_expand(request.query_params.get("expand"), EXPANDABLE)
        [row] = expanded(self.actor, [self._shown(conversation_id)], expand)
        return tagged_unless_known(request, row, fields)

    @extend_schema(
        operation_id="conversations_revise",
        summary="Rename it, or change its system prompt",
        description="The turns that there are keep the system prompt that they were asked with.",
        parameters=[_ID, schema.IF_MATCH],
        request=ConversationBody,
        responses={200: ConversationDetailSerializer, **schema.problems(404, 412, 413, 415)},
        examples=[_BODY_EXAMPLE, CONVERSATION_EXAMPLE],
        tags=["conversations"],
    )
    def patch(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        given = read_body(request, ConversationBody)
        # Nobody changes it between the comparison of the tags and the change.
        with transaction.atomic(), placing({}):
            conversation = get_conversation(self.actor, conversation_id, for_update=True)
            require_match(request, self._shown(conversation_id))
            revise_conversation(conversation, **given)
        return tagged(self._shown(conversation_id))

    @extend_schema(
        operation_id="conversations_delete",
        summary="Delete it",
        description="Its runs stop. It can be restored for some days.",
        parameters=[_ID, schema.IF_MATCH],
        responses={204: None, **schema.problems(404, 412)},
        tags=["conversations"],
    )
    def delete(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        with transaction.atomic():
            conversation = get_conversation(self.actor, conversation_id, for_update=True)
            require_match(request, self._shown(conversation_id))
            delete_conversation(conversation)
        return HttpResponse(status=204)


class ConversationRestore(ConversationView):
    scopes = own_scopes(HTTPMethod.POST)

    @extend_schema(
        operation_id="conversations_restore",
        summary="Take its deletion back",
        parameters=[_ID, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: ConversationDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[CONVERSATION_EXAMPLE],
        tags=["conversations"],
    )
    def post(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        def act() -> Done:
            read_body(request, NoMembers)
            restore_conversation(get_deleted_conversation(self.actor, conversation_id))
            return Done(200, str(conversation_id))

        return answer_once(request, self.actor, act, self._shown)


def _search(text: str | None) -> str:
    if text is None:
        return ""
    if not text.strip() or "\x00" in text or len(text) > MAX_SEARCH_CHARACTERS:
        raise InvalidCriterion("q", _("Must be 1 to %d characters.") % MAX_SEARCH_CHARACTERS)
    return text
