"""Inside a run: its tokens coloured by what the model thought of them, their alternatives, and the way on from one."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import current_actor
from portal.accounts.limits import LimitExceeded
from portal.playground.access import get_generation
from portal.playground.branching import continue_from_token
from portal.playground.inside import ENTROPY_STEPS, PROBABILITY_STEPS, InsideToken, read_tokens, score_text
from portal.playground.models import Generation, Kind
from portal.playground.queries import trace_tokens

ROWS_PER_PAGE: Final = 100


@never_cache
@require_http_methods(["GET", "HEAD"])
def inside(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """A finished run's tokens. `by` is probability or entropy, `token` opens one, `view=table` lists them."""
    run = get_generation(current_actor(request), generation_id)
    if run.is_active:
        return redirect(run)
    return render(request, "playground/inside.html", _inside_context(request, run))


def _inside_context(request: HttpRequest, run: Generation) -> dict[str, Any]:
    tokens = read_tokens(trace_tokens(run), given=len(run.opening))
    has_entropy = any(each.entropy_bits is not None for each in tokens)
    context: dict[str, Any] = {
        "run": run,
        "may_continue": run.kind != Kind.SCORE and run.variant.is_runnable,
        "by_entropy": request.GET.get("by") == "entropy" and has_entropy,
        "has_entropy": has_entropy,
        "kept": run.params.get("top_logprobs") or 0,
        "tokens": tokens,
        "opened": _opened(request, tokens),
        "score": score_text(tokens),
        "probability_steps": [f"{100 * bound:.0f} %" for bound in PROBABILITY_STEPS],
        "entropy_steps": [f"{bound:g}" for bound in ENTROPY_STEPS[:-1]],
    }
    if request.GET.get("view") == "table":
        context["page"] = Paginator(tokens, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return context


@never_cache
@require_http_methods(["POST"])
def branch(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Start the sibling that goes on from another choice."""
    actor = current_actor(request)
    run = get_generation(actor, generation_id)
    token, alternative = (_number(request.POST.get(name, "")) for name in ("token", "alternative"))
    try:
        key = uuid.UUID(request.POST.get("request_key", ""))
        started = continue_from_token(actor, run, token=token, alternative=alternative, request_key=key)
    except ValueError:
        raise Http404 from None
    except (ValidationError, LimitExceeded) as error:
        said = [error.message] if isinstance(error, LimitExceeded) else error.messages
        messages.error(request, " ".join(said))
        return redirect(f"{reverse('playground:inside', args=[run.pk])}?token={max(token, 0)}")
    return redirect(started)


def _opened(request: HttpRequest, tokens: list[InsideToken]) -> InsideToken | None:
    number = _number(request.GET.get("token", ""))
    return tokens[number] if 0 <= number < len(tokens) else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else -1
