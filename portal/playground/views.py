"""The playground's pages: send a prompt, follow a conversation along its branches, stop a run and ask again."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect, push_url, replace_url, reswap, retarget
from django_htmx.middleware import HtmxDetails

from portal.accounts.actors import current_actor, identified_actor
from portal.accounts.limits import LimitExceeded
from portal.catalog.access import require_access, variants_for
from portal.catalog.models import Variant
from portal.catalog.queries import default_variant, get_variant_by_model_id
from portal.playground.access import get_conversation, get_generation
from portal.playground.conversation_page import (
    Sent,
    beside_composer,
    conversation_context,
    posted_context,
    typed_since,
)
from portal.playground.forms import PromptForm, new_conversation_initial, next_turn_form
from portal.playground.models import Conversation, Generation
from portal.playground.queries import example_prompts
from portal.playground.quota import read_quotas
from portal.playground.rerunning import answer_again
from portal.playground.services import cancel_generation, start_generation
from portal.playground.tree import show_turn


class HtmxRequest(HttpRequest):
    """A request behind the htmx middleware; `htmx` is true when htmx asks for a part of a page."""

    htmx: HtmxDetails


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HtmxRequest) -> HttpResponse:
    """Begin a conversation, a raw completion or a scored text.

    GET takes `variant` (owner/card:variant), `kind`, `prompt` and `system_prompt` to start from.
    """
    variants = variants_for(request.user)
    if request.method == "POST":
        _require_access(request, request.POST.get("variant", ""))
        return _send(request, PromptForm(request.POST, variants=variants), None)
    wanted = request.GET.get("variant", "")
    _require_access(request, wanted)
    variant = (get_variant_by_model_id(wanted) if wanted else None) or default_variant()
    asked = {name: request.GET.get(name, "") for name in ("prompt", "system_prompt", "kind")}
    initial = new_conversation_initial(variant, **asked)
    form = PromptForm(initial=initial, variants=variants)
    context = _new_context(form) | {"unknown_variant": _unknown(wanted, variant)}
    context |= beside_composer(current_actor(request))
    return render(request, "playground/new.html", context)


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def conversation(request: HtmxRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """One's own conversation; POST sends its next turn.

    GET shows the branch of the newest turn, or with `at` that of another one; `reply` and `edit` name the turn that the
    composer follows or writes anew; `before` shows the turns ahead of one.
    """
    actor = current_actor(request)
    shown = get_conversation(actor, conversation_id)
    if request.method == "POST":
        _require_access(request, request.POST.get("variant", ""))
        form = PromptForm(request.POST, variants=variants_for(request.user), conversation=shown)
        return _send(request, form, shown)
    return render(request, "playground/conversation.html", conversation_context(actor, shown, request.GET))


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD"])
def generation(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """One answer as it stands, for its place in the conversation's page."""
    actor = current_actor(request)
    shown = get_generation(actor, generation_id)
    if not request.htmx:
        return redirect(shown)
    return render(request, "playground/answer_update.html", {"run": shown, "quotas": read_quotas(actor)})


@never_cache
@require_http_methods(["POST"])
def cancel(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Stop one's own run; stopping what has ended changes nothing."""
    actor = current_actor(request)
    stopped = get_generation(actor, generation_id)
    cancel_generation(stopped)
    if not request.htmx:
        return redirect(stopped)
    stopped.refresh_from_db()
    if stopped.is_active:
        # Its worker ends it within a step, and its stream says so.
        return HttpResponse(status=204)
    response = render(request, "playground/answer_update.html", {"run": stopped, "quotas": read_quotas(actor)})
    return reswap(retarget(response, f"#generation-{stopped.pk}"), "outerHTML")


@never_cache
@require_http_methods(["POST"])
def retry(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Send a prompt again as it was, as a sibling of the run that failed."""
    actor = current_actor(request)
    earlier = get_generation(actor, generation_id)
    try:
        started = answer_again(actor, earlier, request_key=_request_key(request))
    except (ValidationError, LimitExceeded) as error:
        return _not_again(request, earlier, error)
    if not request.htmx:
        return redirect(started)
    context = {
        "conversation": started.conversation,
        "shown": show_turn(started),
        "seen": started.pk,
        "leaf": started.pk,
    }
    context["form"] = next_turn_form(started, variants_for(request.user))
    return render(request, "playground/retried.html", context)


@never_cache
@require_http_methods(["POST"])
def again(request: HtmxRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Answer a turn's prompt once more with the settings that stand beside it, as a sibling."""
    earlier = get_generation(current_actor(request), generation_id)
    _require_access(request, request.POST.get("variant", ""))
    variants = variants_for(request.user)
    asked = request.POST.copy()
    asked["prompt"], asked["edits"], asked["kind"] = earlier.prompt, str(earlier.pk), earlier.kind
    # The composer's own key stays its draft's.
    asked["request_key"] = str(uuid.uuid5(earlier.pk, asked.get("request_key", "")))
    form = PromptForm(asked, variants=variants, conversation=earlier.conversation)
    if not form.is_valid():
        return _not_again(request, earlier, ValidationError([each for said in form.errors.values() for each in said]))
    try:
        started = _start(request, form, earlier.conversation).generation
    except (ValidationError, LimitExceeded) as error:
        return _not_again(request, earlier, error)
    url = started.get_absolute_url()
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def _not_again(request: HtmxRequest, earlier: Generation, error: ValidationError | LimitExceeded) -> HttpResponse:
    said = [error.message] if isinstance(error, LimitExceeded) else error.messages
    if not request.htmx:
        messages.error(request, " ".join(said))
        return redirect(earlier)
    status = 429 if isinstance(error, LimitExceeded) else 422
    response = render(request, "playground/turn.html", {"shown": show_turn(earlier), "refusals": said}, status=status)
    if isinstance(error, LimitExceeded):
        response["Retry-After"] = str(error.retry_after_s)
    return reswap(retarget(response, f"#turn-{earlier.pk}"), "outerHTML")


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


def _start(request: HtmxRequest, form: PromptForm, shown: Conversation | None) -> Sent:
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
        kind=sent["kind"],
        overflow=sent["fit"],
    )
    return Sent(started, "" if started.prompt == sent["prompt"] else sent["prompt"])


def _accepted(request: HtmxRequest, sent: Sent, form: PromptForm, shown: Conversation | None) -> HttpResponse:
    started = sent.generation
    if not request.htmx:
        return redirect(started)
    if shown is None:
        response = render(
            request,
            "playground/begun.html",
            conversation_context(current_actor(request), started.conversation, {}, sent),
        )
        response = reswap(retarget(response, "#playground"), "outerHTML")
        return push_url(response, reverse("playground:conversation", args=[started.conversation_id]))
    # What was set stays set; only the prompt begins anew.
    again = {name: form[name].value() for name in form.fields} | {
        "request_key": uuid.uuid4(),
        "parent": started.pk,
        "edits": None,
        "fit": "",
        "prompt": sent.typed_since,
    }
    next_form = PromptForm(initial=again, variants=variants_for(request.user), conversation=shown)
    context = {"conversation": shown, "form": next_form, "shown": show_turn(started), "last": started}
    context |= {"is_update": True, "seen": started.pk, "leaf": started.pk} | beside_composer(current_actor(request))
    response = render(request, "playground/sent.html", context | typed_since(sent))
    # The branch of the newest turn is what the address without a place shows.
    return replace_url(response, reverse("playground:conversation", args=[shown.pk]))


def _refused(request: HtmxRequest, form: PromptForm, shown: Conversation | None) -> HttpResponse:
    context: dict[str, Any] = beside_composer(current_actor(request))
    if shown is None:
        context |= _new_context(form)
    else:
        context |= {"conversation": shown, "form": form, "edited": _edited(form)}
    if request.htmx:
        return render(request, "playground/composer_update.html", context | {"is_update": True})
    if shown is None:
        return render(request, "playground/new.html", context)
    whole = posted_context(current_actor(request), shown, request.POST) | context
    return render(request, "playground/conversation.html", whole)


def _edited(form: PromptForm) -> Generation | None:
    edited: Generation | None = form.cleaned_data.get("edits") if hasattr(form, "cleaned_data") else None
    return edited


def _new_context(form: PromptForm) -> dict[str, Any]:
    chosen = form.chosen_variant
    return {"form": form, "examples": example_prompts(chosen) if chosen is not None else ()}


def _request_key(request: HtmxRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("request_key", ""))
    except ValueError:
        raise ValidationError(
            {"request_key": [_("The form's key is missing. Reload the page and send again.")]}
        ) from None


def _require_access(request: HtmxRequest, model_id: str) -> None:
    """A model behind a gate answers with the way to ask, and not as one that does not run."""
    variant = get_variant_by_model_id(model_id) if model_id else None
    if variant is not None:
        require_access(request.user, variant.card)


def _unknown(wanted: str, variant: Variant | None) -> str:
    """The variant that was asked for, when another one is shown instead of it."""
    if not wanted or variant is None or wanted in {variant.model_id, variant.card.name}:
        return ""
    return wanted[:200]
