"""`/v1/models`: the variants that run here. And whatever else is asked for below `/v1/`."""

from __future__ import annotations

from http import HTTPMethod, HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from portal.accounts.models import Scope
from portal.api.openai.asked_run import read_model
from portal.api.openai.endpoint import require_method, require_token, with_error_objects
from portal.api.openai.errors import OpenAIError
from portal.catalog.access import require_access, variants_for
from portal.catalog.models import Variant

MAX_ADDRESS_CHARACTERS = 200


@with_error_objects
def model_list(request: HttpRequest) -> HttpResponse:
    """All that the token's owner may run: an installation runs few, and OpenAI's list has no pages."""
    require_method(request, HTTPMethod.GET)
    actor = require_token(request, Scope.READ, Scope.SUBMIT)
    return JsonResponse({"object": "list", "data": [_model_json(variant) for variant in variants_for(actor.user)]})


@with_error_objects
def model_detail(request: HttpRequest, model_id: str) -> HttpResponse:
    """One of them, by owner/card:variant, or the first of owner/card."""
    require_method(request, HTTPMethod.GET)
    actor = require_token(request, Scope.READ, Scope.SUBMIT)
    variant = read_model(model_id)
    require_access(actor.user, variant.card)
    return JsonResponse(_model_json(variant))


@with_error_objects
def unknown_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """404 in OpenAI's form."""
    there = "/v1/models, /v1/chat/completions, /v1/completions"
    message = _("There is nothing at /v1/%(rest)s. There are: %(there)s; without a last slash.")
    message = message % {"rest": rest[:MAX_ADDRESS_CHARACTERS], "there": there}
    raise OpenAIError(message, code="unknown_url", status=HTTPStatus.NOT_FOUND)


def _model_json(variant: Variant) -> dict[str, Any]:
    return {
        "id": variant.model_id,
        "object": "model",
        "created": int(variant.created_at.timestamp()),
        "owned_by": variant.card.owner_name,
        "context_length": variant.context_length,
    }
