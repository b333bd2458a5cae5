"""Addresses of the OpenAI-compatible interface; like OpenAI's, without a slash at the end."""

from django.urls import path

from portal.api.openai.answer_views import chat_completions, completions
from portal.api.openai.models_view import model_detail, model_list, unknown_address

urlpatterns = [
    path("models", model_list, name="openai-models"),
    path("models/<path:model_id>", model_detail, name="openai-model"),
    path("chat/completions", chat_completions, name="openai-chat"),
    path("completions", completions, name="openai-completion"),
    path("", unknown_address),
    path("<path:rest>", unknown_address),
]
