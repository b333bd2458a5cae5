"""RFC 9457 problem documents: every refusal of the API, with a type that stays, and pointers to what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.request import Request

from portal.accounts.limits import LimitExceeded
from portal.api.authentication import SessionNotVerified
from portal.arena.voting import AlreadyVoted, NotVotable
from portal.catalog.access import GateClosed
from portal.exports.criteria import InvalidCriterion
from portal.exports.services import TooManyUnderWay
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.campaign_services import CampaignClosed
from portal.feedback.revising import CannotBeChanged
from portal.feedback.services import AlreadyReviewed, GenerationNotJudgeable, VersionConflict
from portal.reviews.services.verdicts import ClaimLost, UndoRefused

MEDIA_TYPE: Final = "application/problem+json"

# code → HTTP status and title. The code is the fragment of the document's `type`, and never changes its meaning.
PROBLEMS: Final = {
    "invalid-request": (HTTPStatus.BAD_REQUEST, gettext_lazy("The request is not valid")),
    "malformed-json": (HTTPStatus.BAD_REQUEST, gettext_lazy("The body is not JSON")),
    "not-authenticated": (HTTPStatus.UNAUTHORIZED, gettext_lazy("A valid token or session is needed")),
    "forbidden": (HTTPStatus.FORBIDDEN, gettext_lazy("This is not allowed")),
    "gated": (HTTPStatus.FORBIDDEN, gettext_lazy("The model's gate is closed to you; ask for access")),
    "insufficient-scope": (HTTPStatus.FORBIDDEN, gettext_lazy("The token's scopes do not allow this")),
    "not-found": (HTTPStatus.NOT_FOUND, gettext_lazy("There is no such thing here, or it is not yours")),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, gettext_lazy("This address does not take this method")),
    "not-acceptable": (HTTPStatus.NOT_ACCEPTABLE, gettext_lazy("None of the accepted formats is offered")),
    "not-judgeable": (HTTPStatus.CONFLICT, gettext_lazy("The run has no answer to judge")),
    "already-reviewed": (HTTPStatus.CONFLICT, gettext_lazy("The judgement was reviewed already")),
    "version-conflict": (HTTPStatus.CONFLICT, gettext_lazy("It was changed in the meantime")),
    "cannot-be-changed": (HTTPStatus.CONFLICT, gettext_lazy("It can be withdrawn, and not changed")),
    "closed": (HTTPStatus.CONFLICT, gettext_lazy("The campaign takes no answers now")),
    "claim-lost": (HTTPStatus.CONFLICT, gettext_lazy("The item is not yours to judge, or no longer")),
    "not-decided": (HTTPStatus.CONFLICT, gettext_lazy("The item is not decided")),
    "undo-refused": (HTTPStatus.CONFLICT, gettext_lazy("The verdict cannot be taken back")),
    "too-many-under-way": (HTTPStatus.CONFLICT, gettext_lazy("As many as may be made at a time are under way")),
    "webhook-disabled": (HTTPStatus.CONFLICT, gettext_lazy("The webhook is switched off")),
    "already-voted": (HTTPStatus.CONFLICT, gettext_lazy("You have voted on it already")),
    "not-votable": (HTTPStatus.CONFLICT, gettext_lazy("There are not the answers yet that a vote compares")),
    "precondition-failed": (HTTPStatus.PRECONDITION_FAILED, gettext_lazy("It was changed since you read it")),
    "idempotency-key-reused": (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        gettext_lazy("The Idempotency-Key belongs to another request"),
    ),
    "personal-data": (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        gettext_lazy("Something in it looks like personal data"),
    ),
    "withdrawn": (HTTPStatus.GONE, gettext_lazy("The judgement was withdrawn")),
    "body-too-large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, gettext_lazy("The body is too large")),
    "unsupported-media-type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, gettext_lazy("The body's type is not supported")),
    "rate-limited": (HTTPStatus.TOO_MANY_REQUESTS, gettext_lazy("Too many requests")),
    "form-not-verified": (
        HTTPStatus.FORBIDDEN,
        gettext_lazy("The form's or the session's CSRF token is missing or old"),
    ),
    "internal": (HTTPStatus.INTERNAL_SERVER_ERROR, gettext_lazy("Something broke here; the operator's log says what")),
    "unavailable": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        gettext_lazy("A service behind the portal does not answer; try again after Retry-After"),
    ),
}
# Of several with one status the first is what DRF's own refusals are told as.
_CODE_OF_STATUS: Final = {status: code for code, (status, _title) in reversed(PROBLEMS.items())}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one value: at `pointer` in the body (RFC 6901), or in the parameter of that name."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        place = {"pointer": self.pointer} if self.pointer is not None else {"parameter": self.parameter or ""}
        return {**place, "detail": self.detail}


# Compared and hashed by identity, as exceptions must be.
@dataclass(eq=False)
class Problem(Exception):
    """A refusal on its way to the client. `extra` are members of the document beyond the standard's."""

    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> HTTPStatus:
        return PROBLEMS[self.code][0]


def problem_type(code: str) -> str:
    """The `type` of a problem: a reference to its description on this installation."""
    return f"{reverse('api:problems')}#{code}"


def pointer(*steps: object) -> str:
    """A JSON Pointer, RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def problem_response(exc: Exception, context: Mapping[str, Any]) -> JsonResponse | None:
    """DRF's exception handler. None hands an unexpected error on to Django, whose answer is a problem document too."""
    problem = _problem_of(exc)
    if problem is None:
        return None
    return problem_document(context["request"], problem)


def problem_document(request: HttpRequest | Request, problem: Problem) -> JsonResponse:
    """The answer that tells a client of a problem."""
    document: dict[str, Any] = {
        "type": problem_type(problem.code),
        "title": str(PROBLEMS[problem.code][1]),
        "status": int(problem.status),
        "detail": problem.detail,
        "instance": request.path,
        "request_id": getattr(request, "request_id", ""),
        **problem.extra,
    }
    if problem.errors:
        document["errors"] = [error.as_json() for error in problem.errors]
    headers = {"Cache-Control": "no-store", **problem.headers}
    return JsonResponse(document, status=problem.status, content_type=MEDIA_TYPE, headers=headers)


def _problem_of(exc: Exception) -> Problem | None:  # noqa: C901, PLR0911, PLR0912 - one line for each kind of refusal
    match exc:
        case Problem():
            return exc
        case InvalidCriterion():
            error = FieldError(exc.limit, parameter=exc.parameter)
            return Problem("invalid-request", str(exc), (error,))
        case AnswersInvalid():
            errors = tuple(
                FieldError(" ".join(messages), pointer=pointer("answers", key))
                for key, messages in exc.message_dict.items()
            )
            return Problem("invalid-request", _("Some answers are not valid."), errors)
        case CampaignClosed():
            return Problem("closed", " ".join(exc.messages))
        case CannotBeChanged():
            return Problem("cannot-be-changed", str(exc))
        case ClaimLost():
            return Problem("claim-lost", str(exc))
        case UndoRefused():
            return Problem("undo-refused", str(exc))
        case TooManyUnderWay():
            return Problem("too-many-under-way", " ".join(exc.messages))
        case GenerationNotJudgeable():
            return Problem("not-judgeable", " ".join(exc.messages))
        case AlreadyReviewed():
            return Problem("already-reviewed", str(exc))
        case VersionConflict():
            return Problem("version-conflict", str(exc), extra={"version": exc.found})
        case AlreadyVoted():
            return Problem("already-voted", " ".join(exc.messages))
        case NotVotable():
            return Problem("not-votable", " ".join(exc.messages))
        case LimitExceeded():
            headers = {"Retry-After": str(exc.retry_after_s)}
            return Problem("rate-limited", exc.message, headers=headers, extra={"limit": exc.limit})
        case ValidationError():
            return _refused_by_service(exc, {})
        case Http404():
            return Problem("not-found", _("Check the address and the id; other people's things are not found."))
        case GateClosed():
            return Problem("gated", str(exc), extra={"card": exc.card.name, "gate": exc.gate, "access": exc.address})
        case PermissionDenied():
            return Problem("forbidden", str(exc) or _("You may not do this."))
        case RequestDataTooBig():
            return Problem("body-too-large", str(exc))
        case SuspiciousOperation():
            return Problem("invalid-request", _("The request is malformed."))
        case exceptions.ValidationError():
            return Problem("invalid-request", _("The body is not valid."), tuple(_drf_errors(exc.detail, ())))
        case SessionNotVerified():
            return Problem("form-not-verified", str(exc.detail))
        case exceptions.APIException():
            return _drf_problem(exc)
        case _:
            return None


@contextmanager
def placing(places: Mapping[str, tuple[object, ...]]) -> Iterator[None]:
    """Inside, a service's ValidationError becomes a Problem that points at its fields where the body has them.

    `places` are those whose names or places differ in the body.
    """
    try:
        yield
    except (AlreadyVoted, NotVotable, TooManyUnderWay):
        raise
    except ValidationError as error:
        raise _refused_by_service(error, places) from error


def _refused_by_service(error: ValidationError, places: Mapping[str, tuple[object, ...]]) -> Problem:
    return Problem("invalid-request", " ".join(error.messages), tuple(_django_errors(error, places)))


def _drf_problem(exc: exceptions.APIException) -> Problem | None:
    code = _CODE_OF_STATUS.get(HTTPStatus(exc.status_code))
    if code is None:
        return None
    headers = {}
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        headers["WWW-Authenticate"] = getattr(exc, "auth_header", "Bearer")
    return Problem(code, str(exc.detail), headers=headers)


def _drf_errors(detail: Any, path: tuple[object, ...]) -> Iterator[FieldError]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _drf_errors(value, path if key == "non_field_errors" else (*path, key))
    elif isinstance(detail, list) and any(isinstance(each, dict | list) for each in detail):
        for index, value in enumerate(detail):
            yield from _drf_errors(value, (*path, index))
    else:
        sentences = detail if isinstance(detail, list) else [detail]
        yield FieldError(" ".join(map(str, sentences)), pointer=pointer(*path))


def _django_errors(error: ValidationError, places: Mapping[str, tuple[object, ...]]) -> Iterator[FieldError]:
    if hasattr(error, "error_dict"):
        for key, messages in error.message_dict.items():
            path = () if key == NON_FIELD_ERRORS else places.get(key, (key,))
            yield FieldError(" ".join(messages), pointer=pointer(*path))
