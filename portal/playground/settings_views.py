"""The settings beside the prompt: presets, the parameters as JSON, and everything back to the card's defaults."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget

from portal.accounts.actors import Actor, current_actor, identified_actor
from portal.catalog.access import variants_for
from portal.catalog.models import Variant
from portal.playground.access import get_conversation
from portal.playground.conversation_page import beside_composer, posted_context
from portal.playground.forms import PromptForm
from portal.playground.models import Conversation, Preset
from portal.playground.parameter_fields import parameters_as_typed
from portal.playground.presets import (
    copy_preset,
    own_presets,
    preset_params,
    read_parameters_json,
    save_preset,
    share_preset,
    unshare_preset,
)
from portal.playground.variant_defaults import default_parameters


@never_cache
@require_http_methods(["POST"])
def change_settings(request: HttpRequest) -> HttpResponse:
    """Do to the composer's settings what the pressed button says, and show them anew; nothing is sent.

    `do` is `reset`, `json`, `apply_json`, `save` or `preset:<slug or id>`. Without scripts the whole page comes back,
    the playground or the conversation, with the same text in it.
    """
    variants = variants_for(request.user)
    variant = next((each for each in variants if each.model_id == request.POST.get("variant")), None)
    if variant is None:
        raise Http404
    fields: dict[str, Any] = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
    context: dict[str, Any] = {"json": fields.get("json", "") if fields.get("do") == "apply_json" else ""}
    try:
        fields |= _changed(request, variant, variants, context)
    except ValidationError as error:
        context["settings_problem"] = error.messages
    # Whoever saved a preset just now is a stranger no more.
    actor = current_actor(request)
    within = _posted_conversation(actor, request.POST.get("conversation", ""))
    form = PromptForm(initial=fields, variants=variants, conversation=within)
    context |= {"form": form} | beside_composer(actor)
    status = 422 if "settings_problem" in context else 200
    if request.headers.get("HX-Request"):
        response = render(request, "playground/settings.html", context, status=status)
        # The composer asks, for the button belongs to its form.
        return reswap(retarget(response, "#settings"), "outerHTML")
    if within is not None:
        whole = posted_context(actor, within, request.POST) | context
        return render(request, "playground/conversation.html", whole, status=status)
    return render(request, "playground/new.html", context, status=status)


def _posted_conversation(actor: Actor, conversation_id: str) -> Conversation | None:
    """Where the composer stands; None for a new one, and for a conversation that was deleted meanwhile."""
    try:
        return get_conversation(actor, uuid.UUID(conversation_id))
    except (ValueError, Http404):
        return None


def _changed(
    request: HttpRequest, variant: Variant, variants: list[Variant], context: dict[str, Any]
) -> dict[str, Any]:
    """The fields that change. Raises ValidationError."""
    wanted = request.POST.get("do", "")
    if wanted == "reset":
        return dict(parameters_as_typed(default_parameters(variant)))
    if wanted == "apply_json":
        pasted = read_parameters_json(request.POST.get("json", ""), variant)
        context["said"] = _("Applied.")
        return dict(parameters_as_typed(pasted.as_mapping()))
    if wanted.startswith("preset:"):
        params_of_preset, system_prompt = preset_params(current_actor(request), wanted.removeprefix("preset:"))
        chosen = parameters_as_typed(default_parameters(variant) | params_of_preset)
        return chosen | ({"system_prompt": system_prompt} if system_prompt else {})
    # What follows needs valid fields.
    form = PromptForm({**request.POST.dict(), "prompt": "-", "request_key": str(uuid.uuid4())}, variants=variants)
    form.is_valid()
    params = form.cleaned_data.get("params")
    if params is None:
        raise ValidationError([f"{each.label}: {error}" for each in form.settings_errors for error in each.errors])
    if wanted == "save":
        saved = save_preset(
            identified_actor(request),
            name=request.POST.get("preset_name", ""),
            params=params,
            system_prompt=form.cleaned_data.get("system_prompt", ""),
            variant=variant,
        )
        context["said"] = _("Saved as “%s”.") % saved.name
    elif wanted == "json":
        context["json"] = json.dumps(params.as_mapping(), indent=2, ensure_ascii=False)
    else:
        raise Http404
    return {}


@never_cache
@require_http_methods(["GET", "HEAD"])
def presets(request: HttpRequest) -> HttpResponse:
    """One's own presets: share, unshare, delete; `delete` names the one whose deletion is asked about."""
    own = [(each, _shared_url(request, each)) for each in own_presets(current_actor(request))]
    asked = next((each.pk for each, _url in own if str(each.pk) == request.GET.get("delete")), None)
    return render(request, "playground/presets.html", {"own": own, "asked": asked})


@never_cache
@require_http_methods(["POST"])
def change_preset(request: HttpRequest, preset_id: uuid.UUID) -> HttpResponse:
    """`do` is `share`, `unshare` or `delete`."""
    preset = _own_preset(current_actor(request), preset_id)
    match request.POST.get("do"):
        case "share":
            share_preset(preset)
        case "unshare":
            unshare_preset(preset)
        case "delete":
            preset.delete()
        case _other:
            raise Http404
    return redirect("playground:presets")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def shared_preset(request: HttpRequest, token: str) -> HttpResponse:
    """A preset that somebody shared; POST makes it one's own."""
    shared = Preset.objects.filter(share_token=token).first()
    if shared is None:
        raise Http404
    if request.method == "POST":
        try:
            copy_preset(identified_actor(request), shared)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect("playground:presets")
    shown = json.dumps(shared.params, indent=2, ensure_ascii=False)
    return render(request, "playground/shared_preset.html", {"preset": shared, "shown": shown})


def _own_preset(actor: Actor, preset_id: uuid.UUID) -> Preset:
    preset = Preset.objects.filter(actor.owns(), pk=preset_id).first()
    if preset is None:
        raise Http404
    return preset


def _shared_url(request: HttpRequest, preset: Preset) -> str:
    if preset.share_token is None:
        return ""
    return request.build_absolute_uri(reverse("playground:shared_preset", args=[preset.share_token]))
