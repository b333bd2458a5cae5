"""Who may see the review pages; for everybody else they do not exist."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.catalog.access import may_maintain_cards
from portal.catalog.models import ModelCard
from portal.reviews.models import Limitation, ReviewItem

_OVERSEERS: Final = (Role.MAINTAINER, Role.OPERATOR)


def require_reviewer(request: HttpRequest) -> User:
    """A reviewer or a maintainer. Raises Http404."""
    return _require(request, Role.REVIEWER, Role.MAINTAINER)


def require_staff(request: HttpRequest) -> User:
    """Who may look at the queue: reviewers, maintainers and operators. Raises Http404."""
    return _require(request, Role.REVIEWER, Role.MAINTAINER, Role.OPERATOR)


def require_maintainer(request: HttpRequest) -> User:
    """Raises Http404."""
    return _require(request, Role.MAINTAINER)


def require_operator(request: HttpRequest) -> User:
    """Raises Http404."""
    return _require(request, Role.OPERATOR)


def require_overseer(request: HttpRequest) -> User:
    """A maintainer or an operator. Raises Http404."""
    return _require(request, *_OVERSEERS)


def may_oversee(user: User) -> bool:
    return any(user.has_role(role) for role in _OVERSEERS)


def get_item(item_id: int) -> ReviewItem:
    """An item with its submission, run and card, or its vote and variants. Raises Http404."""
    items = ReviewItem.objects.select_related(
        "submission__generation__variant__card",
        "submission__comparison__generation_a__variant__card",
        "submission__comparison__generation_b__variant__card",
        "submission__questionnaire",
        "submission__owner",
        "vote__comparison__contest",
        "vote__variant_a__card",
        "vote__variant_b__card",
        "vote__owner",
        "card",
        "variant__card",
        "campaign",
        "policy",
        "claimed_by",
        "duplicate_of",
    )
    return get_object_or_404(items, pk=item_id)


def get_visible_card(request: HttpRequest, card_id: int) -> ModelCard:
    """A card that this person may see. Raises Http404."""
    card = get_object_or_404(ModelCard, pk=card_id)
    if not (card.is_published or may_maintain_cards(request.user)):
        raise Http404
    return card


def get_limitation(request: HttpRequest, limitation_id: uuid.UUID) -> Limitation:
    """A limitation of a card that this person may see. Raises Http404."""
    limitation = get_object_or_404(Limitation.objects.select_related("card", "mitigated_in__card"), pk=limitation_id)
    if not (limitation.card.is_published or may_maintain_cards(request.user)):
        raise Http404
    return limitation


def _require(request: HttpRequest, *roles: Role) -> User:
    user = request.user
    if not isinstance(user, User) or not any(user.has_role(role) for role in roles):
        raise Http404
    return user
