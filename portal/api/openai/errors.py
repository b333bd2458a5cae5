"""OpenAI's error object: every refusal below `/v1/`, and every run that failed, in the form that its clients know."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, AuthenticationFailed

from inference.events import FailureCode
from portal.accounts.limits import LimitExceeded
from portal.api.problems import Problem
from portal.api.unavailable import UNAVAILABLE, UNAVAILABLE_RETRY_S
from portal.catalog.access import GateClosed

INVALID_REQUEST: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"

# What the request itself is to blame for; every other failure is the server's.
_REFUSED_BY_ENGINE: Final = frozenset({FailureCode.CONTEXT_EXCEEDED, FailureCode.TOKENIZER, FailureCode.UNSUPPORTED})
# OpenAI's names, where it has one.
_CODES: Final = {FailureCode.CONTEXT_EXCEEDED.value: "context_length_exceeded"}

# Fields of `start_generation` that hold what the model is to read.
_PROMPT_FIELDS: Final = frozenset({"prompt", "history", "system_prompt"})

logger = logging.getLogger(__name__)


# Compared and hashed by identity, as exceptions must be.
@dataclass(eq=False)
class OpenAIError(Exception):
    """A refusal or a failure on its way to the client; `param` names what is wrong in the request."""

    message: str
    param: str | None = None
    code: str | None = None
    type: str = INVALID_REQUEST
    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def invalid_run(error: ValidationError, *, prompt_name: str, length_name: str) -> OpenAIError:
    """The error of a run that `start_generation` refused, by the request's own names."""
    if not hasattr(error, "error_dict"):
        return OpenAIError(" ".join(error.messages))
    field_name, messages = next(iter(error.message_dict.items()))
    names = {"max_tokens": length_name, "variant": "model", NON_FIELD_ERRORS: None}
    names |= dict.fromkeys(_PROMPT_FIELDS, prompt_name)
    return OpenAIError(" ".join(messages), param=names.get(field_name, field_name))


def run_failed(code: str, message: str, prompt_name: str) -> OpenAIError:
    """The error of a run that failed with this code."""
    is_refusal = code in _REFUSED_BY_ENGINE
    return OpenAIError(
        message,
        param=prompt_name if is_refusal else None,
        code=_CODES.get(code, code),
        type=INVALID_REQUEST if is_refusal else SERVER_ERROR,
        status=HTTPStatus.BAD_REQUEST if is_refusal else HTTPStatus.INTERNAL_SERVER_ERROR,
        # What can be tried again was tried again by the workers; OpenAI's clients would repeat every failure twice.
        headers={"x-should-retry": "false"},
    )


def run_cancelled() -> OpenAIError:
    """The error of a run that somebody stopped while its client was waiting."""
    return OpenAIError(
        _("The run was stopped before its answer was whole."),
        code="cancelled",
        type=SERVER_ERROR,
        status=HTTPStatus.BAD_REQUEST,
    )


def run_began_anew() -> OpenAIError:
    """The error of a stream whose run had to begin anew when a part of its text was sent already."""
    return OpenAIError(
        _("The worker was lost and the run began anew; what was sent cannot be taken back. Please send it again."),
        code="worker_lost",
        type=SERVER_ERROR,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def unavailable() -> OpenAIError:
    """The error while something that the portal depends on does not answer."""
    return OpenAIError(
        _("A service that the portal depends on does not answer. Try again in a few seconds."),
        code="unavailable",
        type=SERVER_ERROR,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(UNAVAILABLE_RETRY_S)},
    )


def error_response(request: HttpRequest, error: Exception) -> JsonResponse:
    """The answer that tells a client of any error."""
    known = openai_error(request, error)
    headers = {"Cache-Control": "no-store", **known.headers}
    return JsonResponse(known.as_json(), status=known.status, headers=headers)


def openai_error(request: HttpRequest, error: Exception) -> OpenAIError:
    """What a client is told of any error; one that nobody expects goes to the log."""
    known = _known_error(error)
    if known is not None:
        return known
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    request_id = getattr(request, "request_id", "")
    return OpenAIError(
        _("Something broke on our side. Quote the request id %(id)s when you ask for help.") % {"id": request_id},
        code="internal",
        type=SERVER_ERROR,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _known_error(error: Exception) -> OpenAIError | None:  # noqa: PLR0911 - one for each kind of refusal
    match error:
        case OpenAIError():
            return error
        case GateClosed():
            return OpenAIError(str(error), param="model", code="model_gated", status=HTTPStatus.FORBIDDEN)
        case LimitExceeded():
            return OpenAIError(
                error.message,
                code="rate_limit_exceeded",
                type="requests",
                status=HTTPStatus.TOO_MANY_REQUESTS,
                headers={"Retry-After": str(error.retry_after_s)},
            )
        case Problem():
            return OpenAIError(error.detail, code=error.code.replace("-", "_"), status=error.status)
        case AuthenticationFailed():
            return not_authenticated(str(error.detail))
        case APIException():
            return OpenAIError(str(error.detail), status=HTTPStatus(error.status_code))
        case _ if isinstance(error, UNAVAILABLE):
            logger.error("A data service is away", exc_info=error)
            return unavailable()
        case _:
            return None


def not_authenticated(message: str) -> OpenAIError:
    """401, with the challenge that RFC 6750 asks for."""
    return OpenAIError(
        message,
        code="invalid_api_key",
        status=HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": "Bearer"},
    )
