"""The catalog's pages: the list of cards, one card, a card's raw text."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.accounts.actors import Actor, current_actor
from portal.catalog.access import (
    find_card,
    get_card,
    get_card_alone,
    get_current_revision,
    get_variant,
    may_maintain_cards,
    may_run,
)
from portal.catalog.card_metadata import describe_metadata, thumbnail_bytes
from portal.catalog.card_page import render_card
from portal.catalog.card_pictures import kept_picture
from portal.catalog.card_search import CardOrder, CardSearch, CardSearchResult
from portal.catalog.disagreements import disagreements
from portal.catalog.following import follows
from portal.catalog.lineage import trace_lineage
from portal.catalog.lineage_drawing import draw_lineage
from portal.catalog.listed_cards import listed_cards
from portal.catalog.models import TensorPart
from portal.catalog.queries import MAX_SEARCH_CHARACTERS, default_variant, tensor_rows
from portal.catalog.raw_text import raw_text_response
from portal.catalog.tensor_rows import TensorRow, matching_rows
from portal.catalog.tensor_tree import tree_steps, type_shares
from portal.catalog.variant_comparison import compare_variants, measured_on
from portal.catalog.variant_facts import all_facts, key_facts
from portal.catalog.weight_readings import measuring_states

CARDS_PER_PAGE = 24
# Fewer are seen at a glance.
MIN_CARDS_TO_FILTER = 4
TENSORS_PER_PAGE = 100


@require_safe
def card_list(request: HttpRequest) -> HttpResponse:
    """All cards, or those that a search finds; somebody new is told first what this place is."""
    search = CardSearch.from_query(request.GET)
    found = CardSearchResult(search, include_unpublished=may_maintain_cards(request.user))
    page = Paginator(found.cards(), CARDS_PER_PAGE).get_page(request.GET.get("page"))
    greeted = current_actor(request) != Actor() or bool(request.GET)
    context = {
        "page": page,
        "cards": listed_cards(page.object_list),
        "search": search,
        "filters": found.filters() if search.is_narrowed or page.paginator.count >= MIN_CARDS_TO_FILTER else [],
        "orders": CardOrder,
        "greets": not greeted,
        "may_maintain": may_maintain_cards(request.user),
        "first_variant": None if request.GET else default_variant(),
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
    metadata = describe_metadata(revision.metadata if revision else {})
    maintains = may_maintain_cards(request.user)
    compared = compare_variants(variants, measuring_states(variants) if maintains else None)
    context = {
        "card": shown,
        "revision": revision,
        "rendered": render_card(shown, revision.text) if revision else None,
        "metadata": metadata,
        "newer_here": find_card(request.user, metadata.new_version.name) if metadata.new_version else None,
        "variants": [(variant, all_facts(variant)) for variant in variants],
        "compared": compared,
        "measured_on": measured_on(compared),
        "may_measure": maintains and any(row.can_be_measured for row in compared),
        "is_measuring": any(row.is_being_measured for row in compared),
        "first_variant": first,
        "may_maintain": maintains,
        "may_run": may_run(request.user, shown),
        "follows": follows(shown, request.user),
        "first_runnable": next(iter(runnable), None),
        "key_facts": key_facts(first) if first else [],
        "disagreements": disagreements(shown, first) if first else [],
    }
    return render(request, "catalog/card.html", context)


@require_safe
def readme(request: HttpRequest, owner_name: str, slug: str) -> HttpResponseBase:
    """The card's text byte for byte, as model hubs serve it."""
    return raw_text_response(request, get_current_revision(request.user, owner_name, slug))


@require_safe
def thumbnail(request: HttpRequest, owner_name: str, slug: str) -> HttpResponseBase:
    """The picture that the card's metadata carries, or names. Its bytes are of the type that they are served as."""
    revision = get_current_revision(request.user, owner_name, slug)
    said = describe_metadata(revision.metadata)
    picture = thumbnail_bytes(said.thumbnail) or kept_picture(revision.card, said.thumbnail_file)
    if picture is None:
        raise Http404
    kind, content = picture
    response = HttpResponse(content, content_type=kind, headers={"X-Content-Type-Options": "nosniff"})
    # A page asks for the picture of the revision that it shows.
    response["Cache-Control"] = "private, max-age=86400"
    return response


@require_safe
def outline(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """What a whole card tells, what of it this one does, and why readers ask for the rest."""
    shown = get_card(request.user, owner_name, slug)
    revision = shown.current_revision
    if revision is None:
        raise Http404
    context = {
        "card": shown,
        "revision": revision,
        "rendered": render_card(shown, revision.text),
        "may_maintain": may_maintain_cards(request.user),
    }
    return render(request, "catalog/outline.html", context)


@require_safe
def lineage(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """What a card's model was made from and what was made from it, as a graph and as a list."""
    shown = get_card_alone(request.user, owner_name, slug)
    traced = trace_lineage(shown, include_unpublished=may_maintain_cards(request.user))
    rows = [
        {
            "level": level,
            "distance": abs(level),
            "nodes": [(node, traced.made_from(node)) for node in nodes],
            "left_out": traced.left_out.get(level, 0),
        }
        for level, nodes in traced.levels
    ]
    context = {"card": shown, "lineage": traced, "drawing": draw_lineage(traced), "rows": rows}
    return render(request, "catalog/lineage.html", context)


@require_safe
def tensors(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """What lies inside a variant's weights: a tree of all tensors, or a list of those that a search finds."""
    variant = get_variant(request.user, owner_name, slug, variant_slug)
    parts = tensor_rows(variant)
    part, rows = _tensor_part(request, parts)
    search = request.GET.get("q")
    searched = search is not None
    words = (search or "").replace("\x00", "").strip()[:MAX_SEARCH_CHARACTERS]
    context = {
        "card": variant.card,
        "variant": variant,
        "parts": list(parts),
        "part": part,
        "tensors": len(rows),
        "size_bytes": sum(row.size_bytes for row in rows),
        "values": sum(row.values for row in rows),
        "types": type_shares(rows),
        "steps": () if searched else tree_steps(rows),
        "searched": searched,
        "search": words,
        "page": Paginator(matching_rows(rows, words), TENSORS_PER_PAGE).get_page(request.GET.get("page"))
        if searched
        else None,
    }
    return render(request, "catalog/tensors.html", context)


@require_safe
def tensors_json(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """The same for programs: every tensor with name, dtype, shape and bytes."""
    variant = get_variant(request.user, owner_name, slug, variant_slug)
    part, rows = _tensor_part(request, tensor_rows(variant))
    listed = [{"name": r.name, "dtype": r.dtype, "shape": r.shape, "bytes": r.size_bytes} for r in rows]
    return JsonResponse({"variant": variant.model_id, "part": part, "tensors": listed})


def _tensor_part(
    request: HttpRequest, parts: dict[TensorPart, tuple[TensorRow, ...]]
) -> tuple[TensorPart, tuple[TensorRow, ...]]:
    """The part that the address names, the weights without one. Raises Http404 for others."""
    wanted = request.GET.get("part", TensorPart.WEIGHTS)
    if wanted not in parts and wanted != TensorPart.WEIGHTS:
        raise Http404
    part = TensorPart(wanted)
    return part, parts.get(part, ())
