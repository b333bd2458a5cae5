"""What this installation measured of a model: a section of its card, a page of its own, and a file for model hubs."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from portal.catalog.access import get_card, may_maintain_cards
from portal.evidence.card_file import card_with_evidence
from portal.evidence.queries import read_evidence
from portal.evidence.trend_chart import draw_trend


@vary_on_headers("HX-Request")
@require_safe
def card_evidence(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """The page; the card's own page asks with htmx for its section alone."""
    card = get_card(request.user, owner_name, slug)
    evidence = read_evidence(card)
    is_part = request.headers.get("HX-Request") == "true"
    context = {
        "card": card,
        "evidence": evidence,
        "trend": draw_trend(evidence.months),
        "is_part": is_part,
        "may_maintain": may_maintain_cards(request.user),
    }
    return render(request, "evidence/section.html" if is_part else "evidence/page.html", context)


@require_safe
def card_file(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """The card with the evidence in its `model-index`, as huggingface_hub reads it."""
    card = get_card(request.user, owner_name, slug)
    if card.current_revision is None:
        raise Http404
    address = settings.SITE_URL + reverse("evidence:card", args=[owner_name, slug])
    site = urlsplit(settings.SITE_URL).netloc
    text = card_with_evidence(card.current_revision.text, card.slug, read_evidence(card), site=site, address=address)
    return HttpResponse(
        text.encode(),
        content_type="text/markdown; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="README.md"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )
