"""The playground's pages: send a prompt, follow a conversation, stop and retry a run, find a conversation again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url, reswap, retarget
from django_htmx.middleware import HtmxDetails

from inference.sampling_params import SamplingParams
from portal.accounts.actors import current_actor, identified_actor
from portal.accounts.limits import LimitExceeded
from portal.catalog.models import Variant
from portal.catalog.queries import default_variant, get_variant_by_model_id, runnable_variants
from portal.playground.access import get_conversation, get_generation
from portal.playground.forms import PromptForm, new_conversation_initial, next_turn_initial
from portal.playground.models import Conversation, Generation
from portal.playground.queries import example_prompts, latest_branch, latest_variants, list_conversations
from portal.playground.services import cancel_generation, start_generation

CONVERSATIONS_PER_PAGE: Final = 25


class HtmxRequest(HttpRequest):
    """A request behind the htmx middleware; `htmx` is true when htmx asks for a part of a page."""

    htmx: HtmxDetails


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HtmxRequest) -> HttpResponse:
    """Begin a conversation. GET takes `variant` (owner/card:variant) and `prompt` to start from."""
    variants = list(runnable_variants())
    if request.method == "POST":
        return _send(request, PromptForm(request.POST, variants=variants), None)
    wanted = request.GET.get("variant", "")
    variant = (get_variant_by_model_id(wanted) if wanted else None) or default_variant()
    initial = new_conversation_initial(variant, prompt=request.GET.get("prompt", ""))
    form = PromptForm(initial=initial, variants=variants)
    return render(request, "playground/new.html", _new_context(form) | {"unknown_variant": _unknown(wanted, variant)})


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def conversation(request: HtmxRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """One's own conversation; POST sends its next turn."""
    shown = get_conversation(current_actor(request), conversation_id)
    if request.method == "POST":
        form = PromptForm(request.POST, variants=list(runnable_variants()), conversation=shown)
        return _send(request, form, shown)
    return render(request, "playground/conversation.html", _conversation_context(shown))


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD"])
def generation(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """One answer as it stands, for its place in the conversation's page."""
    shown = get_generation(current_actor(request), generation_id)
    if not request.htmx:
        return redirect(shown)
    return render(request, "playground/answer.html", {"run": shown})


@never_cache
@require_http_methods(["POST"])
def cancel(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Stop one's own run; stopping what has ended changes nothing."""
    stopped = get_generation(current_actor(request), generation_id)
    cancel_generation(stopped)
    if not request.htmx:
        return redirect(stopped)
    stopped.refresh_from_db()
    if stopped.is_active:
        # Its worker ends it within a step, and its stream says so.
        return HttpResponse(status=204)
    response = render(request, "playground/answer.html", {"run": stopped})
    return reswap(retarget(response, f"#generation-{stopped.pk}"), "outerHTML")


@never_cache
@require_http_methods(["POST"])
def retry(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Send a prompt again as it was, as a sibling of the run that failed."""
    actor = current_actor(request)
    earlier = get_generation(actor, generation_id)
    try:
        started = start_generation(
            actor,
            variant=earlier.variant,
            prompt=earlier.prompt,
            params=SamplingParams.from_mapping(earlier.params),
            conversation=earlier.conversation,
            parent=earlier.parent,
            request_key=_request_key(request),
        )
    except ValidationError as error:
        if not request.htmx:
            messages.error(request, " ".join(error.messages))
            return redirect(earlier)
        return render(request, "playground/turn.html", {"turn": earlier, "refusals": error.messages}, status=422)
    if not request.htmx:
        return redirect(started)
    keys = _next_turn_form(started, list(runnable_variants()))
    return render(request, "playground/retried.html", {"turn": started, "form": keys})


@never_cache
@require_http_methods(["GET", "HEAD"])
def conversations(request: HtmxRequest) -> HttpResponse:
    """One's own conversations, newest first."""
    paginator = Paginator(list_conversations(current_actor(request)), CONVERSATIONS_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    variants = latest_variants(page.object_list)
    rows = [(each, variants.get(getattr(each, "latest_variant_id", 0))) for each in page.object_list]
    return render(request, "playground/conversations.html", {"page": page, "rows": rows})


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came of a valid form."""

    generation: Generation
    # An earlier prompt used this form's key, and its answer was lost on the way: what is typed now is not sent yet.
    typed_since: str


def _send(request: HtmxRequest, form: PromptForm, shown: Conversation | None) -> HttpResponse:
    status, retry_after_s = 422, 0
    if form.is_valid():
        try:
            return _accepted(request, _start(request, form, shown), form, shown)
        except ValidationError as error:
            form.add_service_errors(error)
        except LimitExceeded as error:
            form.add_error(None, error.message)
            status, retry_after_s = 429, error.retry_after_s
    response = _refused(request, form, shown)
    response.status_code = status
    if retry_after_s:
        response["Retry-After"] = str(retry_after_s)
    return response


def _start(request: HtmxRequest, form: PromptForm, shown: Conversation | None) -> _Sent:
    sent = form.cleaned_data
    started = start_generation(
        identified_actor(request),
        variant=sent["variant"],
        prompt=sent["prompt"],
        params=sent["params"],
        system_prompt=sent["system_prompt"],
        conversation=shown,
        parent=sent["parent"],
        request_key=sent["request_key"],
    )
    return _Sent(started, "" if started.prompt == sent["prompt"] else sent["prompt"])


def _accepted(request: HtmxRequest, sent: _Sent, form: PromptForm, shown: Conversation | None) -> HttpResponse:
    started = sent.generation
    if not request.htmx:
        return redirect(started)
    if shown is None:
        response = render(request, "playground/begun.html", _conversation_context(started.conversation, sent))
        response = reswap(retarget(response, "#playground"), "outerHTML")
        return push_url(response, reverse("playground:conversation", args=[started.conversation_id]))
    # What was set stays set; only the prompt begins anew.
    again = {name: form[name].value() for name in form.fields} | {
        "request_key": uuid.uuid4(),
        "parent": started.pk,
        "prompt": sent.typed_since,
    }
    next_form = PromptForm(initial=again, variants=list(runnable_variants()), conversation=shown)
    context = {"conversation": shown, "form": next_form, "turn": started, "last": started, "is_update": True}
    return render(request, "playground/sent.html", context | _typed_since(sent))


def _refused(request: HtmxRequest, form: PromptForm, shown: Conversation | None) -> HttpResponse:
    context = _new_context(form) if shown is None else {"conversation": shown, "form": form}
    if request.htmx:
        return render(request, "playground/composer_update.html", context | {"is_update": True})
    if shown is None:
        return render(request, "playground/new.html", context)
    return render(request, "playground/conversation.html", _conversation_context(shown) | context)


def _new_context(form: PromptForm) -> dict[str, Any]:
    chosen = form.chosen_variant
    return {"form": form, "examples": example_prompts(chosen) if chosen is not None else ()}


def _conversation_context(shown: Conversation, sent: _Sent | None = None) -> dict[str, Any]:
    turns = latest_branch(shown)
    variants = list(runnable_variants())
    form = _next_turn_form(turns[-1], variants) if turns else PromptForm(variants=variants, conversation=shown)
    if sent is not None:
        form.initial["prompt"] = sent.typed_since
    context = {"conversation": shown, "turns": turns, "last": turns[-1] if turns else None, "form": form}
    return context | (_typed_since(sent) if sent is not None else {})


def _next_turn_form(last: Generation, variants: list[Variant]) -> PromptForm:
    runs_here = any(each.pk == last.variant_id for each in variants)
    initial = next_turn_initial(last, runs_here=runs_here, instead=default_variant())
    return PromptForm(initial=initial, variants=variants, conversation=last.conversation)


def _typed_since(sent: _Sent) -> dict[str, Any]:
    return {"typed_since": bool(sent.typed_since)}


def _request_key(request: HtmxRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("request_key", ""))
    except ValueError:
        raise ValidationError(
            {"request_key": [_("The form's key is missing. Reload the page and send again.")]}
        ) from None


def _unknown(wanted: str, variant: Variant | None) -> str:
    """The variant that was asked for, when another one is shown instead of it."""
    if not wanted or variant is None or wanted in {variant.model_id, variant.card.name}:
        return ""
    return wanted[:200]
