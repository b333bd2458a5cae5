"""`/v1/chat/completions` and `/v1/completions`."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from portal.api.openai.chat_request import read_chat_request
from portal.api.openai.chat_response import ChatChunkWriter, whole_chat
from portal.api.openai.completion_request import read_completion_request
from portal.api.openai.completion_response import CompletionChunkWriter, whole_completion
from portal.api.openai.run_view import AnswerForm, answer_run

CHAT: Final = AnswerForm(read_chat_request, whole_chat, ChatChunkWriter)
COMPLETION: Final = AnswerForm(read_completion_request, whole_completion, CompletionChunkWriter)


@csrf_exempt
def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """The answer to a chat."""
    return answer_run(request, CHAT)


@csrf_exempt
def completions(request: HttpRequest) -> HttpResponseBase:
    """The continuation of a text."""
    return answer_run(request, COMPLETION)
