"""Following cards: feeds for everybody, mail for who follows, and the link in each mail that ends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.syndication.views import Feed
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.models import User
from portal.catalog.access import get_card
from portal.catalog.following import follow_card, followed_cards, read_unsubscribe_token, unfollow_card
from portal.catalog.models import CardEvent, ModelCard

EVENTS_PER_FEED: Final = 50
FOLLOWED_PER_PAGE: Final = 50


@require_POST
@login_required
def follow(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """Begins or ends following, as `action` says."""
    card = get_card(request.user, owner_name, slug)
    assert isinstance(request.user, User)
    if request.POST.get("action") == "unfollow":
        unfollow_card(card, request.user)
        messages.success(request, _("You no longer follow this card."))
    else:
        follow_card(card, request.user)
        if request.user.email:
            messages.success(request, _("You follow this card: a mail comes for a new text, variant or limitation."))
        else:
            messages.warning(request, _("You follow this card. Add an email address to your account to get its mails."))
    if request.POST.get("from") == "list":
        return redirect("catalog:following")
    return redirect(card)


@never_cache
@require_safe
@login_required
def following(request: HttpRequest) -> HttpResponse:
    """What one follows."""
    assert isinstance(request.user, User)
    page = Paginator(followed_cards(request.user), FOLLOWED_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "catalog/following.html", {"page": page})


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Where a mail's link leads. GET asks, since mail programs open links; POST, of a person or of a mail program
    (RFC 8058, which sends no cookie and no CSRF token), ends it. The link itself says who may."""
    found = read_unsubscribe_token(token)
    if found is None:
        raise Http404
    card, user = found
    if request.method == "POST":
        unfollow_card(card, user)
    context = {"card": card, "person": user, "is_done": request.method == "POST"}
    return render(request, "catalog/unsubscribe.html", context)


class _EventFeed(Feed):  # type: ignore[type-arg]
    """What happened to cards, newest first, as Atom."""

    feed_type = Atom1Feed
    # RFC 4287 wants an author of every feed or of each of its entries.
    author_name = "Steelyard"

    def item_title(self, item: CardEvent) -> str:
        return f"{item.card.title}: {item.title}"

    def item_description(self, item: CardEvent) -> str:
        return item.sentence

    def item_link(self, item: CardEvent) -> str:
        return item.address

    def item_guid(self, item: CardEvent) -> str:
        return f"tag:steelyard,2026:event/{item.pk}"

    def item_updateddate(self, item: CardEvent) -> datetime:
        return item.created_at

    item_pubdate = item_updateddate


class AllCardsFeed(_EventFeed):
    """Every published card."""

    title = gettext_lazy("Steelyard: model cards")
    subtitle = gettext_lazy("New texts, variants and known limitations of all cards")

    def link(self) -> str:
        return reverse("catalog:list")

    def items(self) -> QuerySet[CardEvent]:
        return CardEvent.objects.filter(card__is_published=True).select_related("card")[:EVENTS_PER_FEED]


class CardFeed(_EventFeed):
    """One card. Raises Http404 where the reader may not see it."""

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> ModelCard:
        return get_card(request.user, kwargs["owner_name"], kwargs["slug"])

    def title(self, card: ModelCard) -> str:
        return f"Steelyard: {card.title}"

    def subtitle(self, card: ModelCard) -> str:
        return _("New texts, variants and known limitations of %(card)s") % {"card": card.name}

    def link(self, card: ModelCard) -> str:
        return card.get_absolute_url()

    def items(self, card: ModelCard) -> QuerySet[CardEvent]:
        return card.events.select_related("card")[:EVENTS_PER_FEED]


all_cards_feed = require_safe(AllCardsFeed())
card_feed = require_safe(CardFeed())
