"""Error pages for people: what happened, what it means for them, what to do next, and the request id to quote.

One set of words per failure, in four shapes: a page in the frame, a page that needs neither database nor session,
a notice for htmx, and a problem document (RFC 9457) for programs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from portal.accounts.limits import LimitExceeded
from portal.api.problems import PROBLEMS, Problem, problem_document
from portal.api.unavailable import UNAVAILABLE, UNAVAILABLE_RETRY_S
from portal.catalog.access import GateClosed
from portal.operations.context import chosen_theme

API_PATHS: Final = ("/api/", "/v1/")

Text = str | Promise


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """One failure, told to a person; to a program it is the problem of this code."""

    problem: str
    title: Text
    happened: Text
    meaning: Text
    advice: Text
    # The advice for a notice on a page that is still open with what was typed; empty where it is the same.
    advice_in_place: Text = ""
    # Whether somebody who signs in may get further.
    sign_in_may_help: bool = False
    # Whether the same address may answer when it is asked again.
    try_again: bool = False
    # Where somebody can ask for what they may not do.
    ask_url: str = ""

    @property
    def status(self) -> HTTPStatus:
        return PROBLEMS[self.problem][0]


BAD_REQUEST: Final = ErrorWords(
    "invalid-request",
    _("The request was not understood"),
    _("Something in the address or in what was sent is malformed, so the portal did not act on it."),
    _("Nothing of it was carried out, and sent again as it is, it is refused again."),
    _("Go back, check what you entered, and send it again."),
    advice_in_place=_("Check what you entered, and send it again."),
)
FORBIDDEN: Final = ErrorWords(
    "forbidden",
    _("You may not do this"),
    _("This page or action needs a role that your account does not have."),
    _("You cannot see or do this without that role. What you asked for was not done."),
    _("If you think you should have that role, ask the people who run this portal."),
    sign_in_may_help=True,
)
GATE_CLOSED: Final = ErrorWords(
    "gated",
    _("This model has a gate"),
    "",
    _("Its card is open to everybody; running it is not. What you asked for was not done."),
    _("Ask for access. It needs an account here."),
)
CSRF_FAILED: Final = ErrorWords(
    "form-not-verified",
    _("The form could not be verified"),
    _(
        "Its security token was missing or out of date. That happens when a page stays open while you sign in or out "
        "elsewhere, or when the browser keeps no cookies for this site."
    ),
    _("What you sent was not accepted, and nothing of it was saved."),
    _("Go back, reload the page, and send the form again. Cookies must be allowed for this site."),
    advice_in_place=_(
        "What you typed is still here: copy it, reload this page, and send it again. Cookies must be allowed for this "
        "site."
    ),
)
NOT_FOUND: Final = ErrorWords(
    "not-found",
    _("There is nothing at this address"),
    _("The address is mistyped, the page was moved or deleted, or it belongs to somebody else."),
    _("There is nothing here, or it is not yours to see; which of the two, the portal tells nobody."),
    _("Check the address, or start from the model cards."),
    sign_in_may_help=True,
)
METHOD_NOT_ALLOWED: Final = ErrorWords(
    "method-not-allowed",
    _("This address is not asked this way"),
    "",
    _("Nothing was done. What was saved before is still there."),
    _("Go back to the page that led here, reload it, and use its buttons and links; or start from the model cards."),
    advice_in_place=_("Reload the page, and use its buttons and links."),
)
TOO_MANY_REQUESTS: Final = ErrorWords(
    "rate-limited",
    _("That was too much at once"),
    _("A limit was reached. Limits keep one visitor from taking the whole machine."),
    _("This request was not carried out. Everything from before is unchanged."),
    _("Wait a moment, then try again."),
    try_again=True,
)
SERVER_ERROR: Final = ErrorWords(
    "internal",
    _("Something broke on our side"),
    _("The portal met an error that it did not expect, and stopped."),
    _("What you just asked for may not have been done. What was saved before is still there."),
    _("Try again. If it happens again, tell the people who run this portal, with the request number below."),
    try_again=True,
)
SERVICE_UNAVAILABLE: Final = ErrorWords(
    "unavailable",
    _("The portal is not ready at this moment"),
    _("A service that it depends on, its database, its queue or its storage, does not answer."),
    _("What you just asked for may not have been done. What was saved before is still there."),
    _("Wait a few seconds, then try again."),
    try_again=True,
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, _words_for_bad_request(exception))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, GateClosed):
        return _answer(request, replace(GATE_CLOSED, happened=str(exception), ask_url=exception.address))
    return _answer(request, FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return _answer(request, CSRF_FAILED)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, NOT_FOUND)


def method_not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    """405 with `Allow`, which names the methods that the address takes."""
    if "GET" in allowed:
        happened = _("There is a page at this address, and it takes nothing that is sent to it (%(method)s).")
    else:
        happened = _(
            "This address takes what a form or a button sends, and is no page of its own. That happens when it "
            "is opened or reloaded by itself (%(method)s)."
        )
    words = replace(METHOD_NOT_ALLOWED, happened=happened % {"method": request.method})
    response = _answer(request, words)
    response["Allow"] = allowed
    return response


def page_too_many_requests(request: HttpRequest, exceeded: LimitExceeded) -> HttpResponse:
    """429 with Retry-After: the limit's own sentence, and how long to wait."""
    wait_s = exceeded.retry_after_s
    advice = ngettext_lazy(
        "Wait %(seconds)d second, then try again.", "Wait %(seconds)d seconds, then try again.", wait_s
    ) % {"seconds": wait_s}
    return _answer(request, replace(TOO_MANY_REQUESTS, happened=exceeded.message, advice=advice), retry_after_s=wait_s)


def server_error(request: HttpRequest) -> HttpResponse:
    """The page of last resort. It runs while the exception is handled, and tells a service away from a bug."""
    if isinstance(sys.exc_info()[1], UNAVAILABLE):
        return service_unavailable(request)
    return _answer(request, SERVER_ERROR, standalone=True)


def service_unavailable(request: HttpRequest) -> HttpResponse:
    return _answer(request, SERVICE_UNAVAILABLE, retry_after_s=UNAVAILABLE_RETRY_S, standalone=True)


def _words_for_bad_request(exception: Exception) -> ErrorWords:
    limit: Text
    if isinstance(exception, RequestDataTooBig):
        limit = _("What was sent is larger than %(limit)s, the most that this portal takes at once.") % {
            "limit": filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        }
        shorten = _("Shorten it, and send it again.")
        return replace(BAD_REQUEST, problem="body-too-large", happened=limit, advice=shorten, advice_in_place=shorten)
    if isinstance(exception, TooManyFieldsSent | TooManyFilesSent):
        limit = _("The form has more fields than %(limit)d, the most that this portal takes at once.") % {
            "limit": settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        }
        return replace(BAD_REQUEST, happened=limit)
    return BAD_REQUEST


def _answer(
    request: HttpRequest, words: ErrorWords, *, retry_after_s: int | None = None, standalone: bool = False
) -> HttpResponse:
    """`standalone`: nothing behind the request is touched, neither the session nor the database."""
    response: HttpResponse
    if _is_program(request):
        response = _problem(request, words)
    else:
        context = _context(request, words)
        if request.headers.get("HX-Request") == "true":
            response = HttpResponse(render_to_string("errors/notice.html", context), status=words.status)
        elif standalone:
            response = HttpResponse(render_to_string("errors/standalone.html", context), status=words.status)
        else:
            response = render(request, "errors/page.html", context, status=words.status)
    if retry_after_s is not None:
        response["Retry-After"] = str(retry_after_s)
    response["Cache-Control"] = "no-store"
    return response


def _context(request: HttpRequest, words: ErrorWords) -> dict[str, Any]:
    return {
        "error": words,
        "request_id": _request_id(request),
        "theme": chosen_theme(request),
        "again_url": request.get_full_path() if words.try_again and request.method == "GET" else "",
        "sign_in_next": request.get_full_path() if words.sign_in_may_help and request.method == "GET" else "",
    }


def _problem(request: HttpRequest, words: ErrorWords) -> HttpResponse:
    extra = {"access": words.ask_url} if words.ask_url else {}
    return problem_document(request, Problem(words.problem, f"{words.happened} {words.advice}", extra=extra))


def _is_program(request: HttpRequest) -> bool:
    """Under the API's paths unless a browser asks; elsewhere only when no page is wanted."""
    if request.path.startswith(API_PATHS):
        return "text/html" not in request.headers.get("Accept", "")
    return not request.accepts("text/html")


def _request_id(request: HttpRequest) -> str:
    return getattr(request, "request_id", "")
