"""One's own conversations: find, name, delete, restore; what changed in another tab; how full the context is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import Actor, current_actor
from portal.catalog.access import variants_for
from portal.playground.access import get_conversation, get_deleted_conversation
from portal.playground.conversation_services import (
    delete_conversation,
    restore_conversation,
    revise_conversation,
)
from portal.playground.forms import next_turn_form
from portal.playground.models import Conversation, Kind
from portal.playground.prompt_messages import preview_context
from portal.playground.queries import MAX_SEARCH_CHARACTERS, latest_variants, list_conversations
from portal.playground.retention import kept_after_deletion
from portal.playground.tab_changes import TabState, find_changes
from portal.playground.variant_defaults import max_tokens_allowed

CONVERSATIONS_PER_PAGE: Final = 25


@never_cache
@require_http_methods(["GET", "HEAD"])
def conversations(request: HttpRequest) -> HttpResponse:
    """One's own conversations, newest first. `q` searches them, `show=deleted` lists what can be restored."""
    actor = current_actor(request)
    search = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:MAX_SEARCH_CHARACTERS]
    shows_deleted = request.GET.get("show") == "deleted"
    found = list_conversations(actor, search=search, deleted=shows_deleted)
    page = Paginator(found, CONVERSATIONS_PER_PAGE).get_page(request.GET.get("page"))
    variants = latest_variants(page.object_list)
    context = {
        "page": page,
        "rows": [(each, variants.get(getattr(each, "latest_variant_id", 0))) for each in page.object_list],
        "search": search,
        "shows_deleted": shows_deleted,
        "kept_days": kept_after_deletion().days,
        "just_deleted": _just_deleted(actor, request.GET.get("deleted", "")),
    }
    return render(request, "playground/conversations.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rename(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    named = get_conversation(current_actor(request), conversation_id)
    error, status = "", 200
    if request.method == "POST":
        try:
            revise_conversation(named, title=request.POST.get("title", ""))
            return redirect(named)
        except ValidationError as refused:
            error, status = " ".join(refused.messages), 422
    title = request.POST.get("title", named.title)
    context = {"conversation": named, "typed": title, "error": error}
    return render(request, "playground/rename.html", context, status=status)


@never_cache
@require_http_methods(["POST"])
def delete(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Hide a conversation; the list that follows offers to take it back."""
    deleted = get_conversation(current_actor(request), conversation_id)
    delete_conversation(deleted)
    return redirect(f"{reverse('playground:conversations')}?deleted={deleted.pk}")


@never_cache
@require_http_methods(["POST"])
def restore(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    restored = get_deleted_conversation(current_actor(request), conversation_id)
    restore_conversation(restored)
    return redirect(restored)


@never_cache
@require_http_methods(["GET", "HEAD"])
def changes(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """What other tabs did since this one was brought up to date: nothing (204), or what it puts in its page.

    `seen`, `leaf`, `title` and `notice` say what the tab shows (TabState).
    """
    actor, tab = current_actor(request), TabState.read(request.GET)
    shown = _own_or_deleted(actor, conversation_id)
    found = find_changes(shown, tab)
    if found is None:
        return HttpResponse(status=204)
    context: dict[str, Any] = {"conversation": shown, "changes": found, "seen": found.newest, "leaf": tab.leaf}
    if found.added:
        last = found.added[-1].generation
        context |= {"leaf": last.pk, "form": next_turn_form(last, variants_for(request.user))}
    return render(request, "playground/changes.html", context)


@never_cache
@require_http_methods(["POST"])
def context_meter(request: HttpRequest) -> HttpResponse:
    """How much of the context the composer's fields take, as they stand."""
    sent = request.POST
    variant = next((each for each in variants_for(request.user) if each.model_id == sent.get("variant")), None)
    if variant is None:
        return HttpResponse(status=204)
    within = _own_conversation(current_actor(request), sent.get("conversation", ""))
    kind = sent.get("kind") or Kind.CHAT
    use = preview_context(
        variant,
        prompt=sent.get("prompt", "").replace("\r\n", "\n"),
        system_prompt=sent.get("system_prompt", "").replace("\r\n", "\n"),
        conversation=within,
        parent_id=_uuid(sent.get("parent", "")),
        edits_id=_uuid(sent.get("edits", "")),
        max_tokens=_max_tokens(sent, variant.defaults.get("max_tokens")),
        is_completion=kind != Kind.CHAT,
    )
    context = {"use": use, "conversation": within, "variant": variant, "kind": kind}
    return render(request, "playground/context_meter.html", context)


def _own_conversation(actor: Actor, conversation_id: str) -> Conversation | None:
    found = _uuid(conversation_id)
    return _own_or_deleted(actor, found) if found is not None else None


def _own_or_deleted(actor: Actor, conversation_id: uuid.UUID) -> Conversation:
    """Also one that another tab deleted while this one shows it."""
    try:
        return get_conversation(actor, conversation_id)
    except Http404:
        return get_deleted_conversation(actor, conversation_id)


def _just_deleted(actor: Actor, conversation_id: str) -> Conversation | None:
    found = _uuid(conversation_id)
    if found is None:
        return None
    return Conversation.objects.filter(actor.owns(), pk=found, deleted_at__isnull=False).first()


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _max_tokens(sent: Mapping[str, str], default: Any) -> int:
    if sent.get("kind") == Kind.SCORE:
        # Nothing is written behind the text.
        return 0
    typed, most = sent.get("max_tokens", ""), max_tokens_allowed()
    wanted = int(typed) if typed.isdecimal() and len(typed) < 7 else default
    return min(wanted, most) if isinstance(wanted, int) and wanted > 0 else most
