"""The catalog's pages: the list of cards, one card, a card's raw text."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from portal.accounts.actors import Actor, current_actor
from portal.catalog.access import get_card, get_current_revision, may_maintain_cards
from portal.catalog.card_metadata import describe_metadata
from portal.catalog.card_page import render_card
from portal.catalog.queries import MAX_SEARCH_CHARACTERS, default_variant, list_cards
from portal.catalog.variant_facts import all_facts, key_facts

CARDS_PER_PAGE = 24


@require_safe
def card_list(request: HttpRequest) -> HttpResponse:
    """All cards, or those that a search finds; somebody new is told first what this place is."""
    search = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_SEARCH_CHARACTERS]
    cards = list_cards(search, include_unpublished=may_maintain_cards(request.user))
    page = Paginator(cards, CARDS_PER_PAGE).get_page(request.GET.get("page"))
    greeted = current_actor(request) != Actor() or bool(search) or page.number > 1
    context = {
        "page": page,
        "rows": [
            (card, describe_metadata(card.current_revision.metadata if card.current_revision else {}))
            for card in page.object_list
        ],
        "search": search,
        "greets": not greeted,
        "first_variant": None if greeted else default_variant(),
    }
    return render(request, "catalog/card_list.html", context)


@require_safe
def card(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """One card: its text, what was read from its weights, and where to try it."""
    shown = get_card(request.user, owner_name, slug)
    revision = shown.current_revision
    variants = list(shown.variants.all())
    runnable = [variant for variant in variants if variant.is_runnable]
    first = next(iter(runnable or variants), None)
    context = {
        "card": shown,
        "revision": revision,
        "rendered": render_card(shown, revision) if revision else None,
        "metadata": describe_metadata(revision.metadata if revision else {}),
        "variants": [(variant, all_facts(variant)) for variant in variants],
        "first_variant": first,
        "first_runnable": next(iter(runnable), None),
        "key_facts": key_facts(first) if first else [],
    }
    return render(request, "catalog/card.html", context)


@require_safe
def readme(request: HttpRequest, owner_name: str, slug: str) -> HttpResponseBase:
    """The card's text byte for byte, as model hubs serve it."""
    revision = get_current_revision(request.user, owner_name, slug)
    response = HttpResponse(
        revision.text.encode(),
        content_type="text/markdown; charset=utf-8",
        headers={
            "Content-Disposition": 'inline; filename="README.md"',
            "ETag": f'"{revision.sha256}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
    return get_conditional_response(request, etag=response["ETag"], response=response) or response
