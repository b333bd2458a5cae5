"""`/api/v1/conversations/`: one's own trees of runs; nobody else finds them."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Any, Final

from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request

from portal.api import schema
from portal.api.conditions import require_match, tagged
from portal.api.idempotency import Done, do_to_once
from portal.api.operation import operation
from portal.api.own_things import NoMembers, OwnRows, OwnView, answer_done, answer_once, own_scopes, read_body
from portal.api.paging import read_newest_page
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
from portal.playground.access import get_conversation, get_deleted_conversation
from portal.playground.conversation_services import (
    create_conversation,
    delete_conversation,
    restore_conversation,
    revise_conversation,
)
from portal.playground.models import Conversation
from portal.playground.queries import MAX_SEARCH_CHARACTERS, latest_variants, list_conversations, own_conversations

_ID: Final = schema.in_path("conversation_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))


_ROWS: Final = OwnRows(
    name="conversations",
    page=ConversationPageSerializer,
    row=ConversationDetailPartSerializer,
    fields=CONVERSATION_FIELDS,
    detail_fields=DETAIL_FIELDS,
    expandable=EXPANDABLE,
    detail_expandable=EXPANDABLE,
    listed=EXAMPLE_CONVERSATION,
    example=CONVERSATION_EXAMPLE,
)


class ConversationView(OwnView):
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

    @_ROWS.in_pages(
        schema.query(
            "q",
            {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_CHARACTERS},
            gettext_lazy("Only with these words in the title, a prompt or an answer."),
        ),
        schema.query("deleted", {"type": "string", "enum": ["1"]}, gettext_lazy("Those that can be restored.")),
        summary="Your conversations",
        description="Those of the playground, of /v1 and of this API; the last begun first.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = request.query_params
        found = list_conversations(self.actor, search=asked.get("q", ""), deleted="deleted" in asked)
        page, following = read_newest_page(request, found)
        variants = latest_variants(page)
        return self._page(request, [conversation_row(each, variants) for each in page], following, CONVERSATION_FIELDS)

    @operation(
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

    @_ROWS.alone(
        _ID,
        summary="One conversation with its turns",
        description="All branches: each run names its parent, and its place among its siblings.",
    )
    def get(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        return self._alone(request, self._shown(conversation_id), DETAIL_FIELDS)

    @operation(
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
        # Nobody changes it between the comparison of the tags and the change.
        with transaction.atomic(), placing({}):
            conversation = get_conversation(self.actor, conversation_id, for_update=True)
            given = read_body(request, ConversationBody)
            require_match(request, self._shown(conversation_id))
            revise_conversation(conversation, **given)
        return tagged(self._shown(conversation_id))

    @operation(
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

    @operation(
        operation_id="conversations_restore",
        summary="Take its deletion back",
        parameters=[_ID, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: ConversationDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[CONVERSATION_EXAMPLE],
        tags=["conversations"],
    )
    def post(self, request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
        def restore(conversation: Conversation) -> Done:
            read_body(request, NoMembers)
            restore_conversation(conversation)
            return Done(200, str(conversation_id))

        def find() -> Conversation:
            return get_deleted_conversation(self.actor, conversation_id)

        return answer_done(do_to_once(request, self.actor, find, restore), self._shown)
