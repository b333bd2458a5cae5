"""Who sees which card, and who may run its model.

Published cards are everybody's, the others are for those who may change cards. A gate is in front of running alone, and
every way to run a model goes through `require_access`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.catalog.models import AccessRequest, AccessState, CardRevision, Gate, ModelCard, Variant
from portal.catalog.queries import cards_with_page_parts, runnable_variants


def may_maintain_cards(user: User | AnonymousUser) -> bool:
    return user.has_perm("catalog.change_modelcard")


def get_card(user: User | AnonymousUser, owner_name: str, slug: str) -> ModelCard:
    """The card of this name, with what its page shows. Raises Http404 when there is none that `user` may see."""
    card = cards_with_page_parts().filter(owner_name=owner_name, slug=slug).first()
    if card is None or not (card.is_published or may_maintain_cards(user)):
        raise Http404
    return card


def find_card(user: User | AnonymousUser, name: str) -> ModelCard | None:
    """The card named owner/name on this installation, where there is one that `user` may see."""
    owner_name, _, slug = name.partition("/")
    card = ModelCard.objects.filter(owner_name=owner_name, slug=slug).first()
    return card if card is not None and (card.is_published or may_maintain_cards(user)) else None


def get_card_alone(user: User | AnonymousUser, owner_name: str, slug: str) -> ModelCard:
    """The card as `get_card` has it, without its text and its variants."""
    card = find_card(user, f"{owner_name}/{slug}")
    if card is None:
        raise Http404
    return card


def get_current_revision(user: User | AnonymousUser, owner_name: str, slug: str) -> CardRevision:
    """The text of a card. Raises Http404 when the user may not see the card, or it has no text yet."""
    revision = get_card(user, owner_name, slug).current_revision
    if revision is None:
        raise Http404
    return revision


def get_variant(user: User | AnonymousUser, owner_name: str, slug: str, variant_slug: str) -> Variant:
    """One variant with its card. Raises Http404 when there is none, or `user` may not see the card."""
    variants = Variant.objects.select_related("card").defer("facts", "digests")
    variant = variants.filter(card__owner_name=owner_name, card__slug=slug, slug=variant_slug).first()
    if variant is None or not (variant.card.is_published or may_maintain_cards(user)):
        raise Http404
    return variant


def get_revision(user: User | AnonymousUser, owner_name: str, slug: str, number: int) -> CardRevision:
    """One text of a card's history. Raises Http404 when there is none, or the user may not see the card."""
    revisions = CardRevision.objects.select_related("card__current_revision", "author")
    revision = revisions.filter(card__owner_name=owner_name, card__slug=slug, number=number).first()
    if revision is None or not (revision.card.is_published or may_maintain_cards(user)):
        raise Http404
    return revision


def get_maintained_card(user: User | AnonymousUser, owner_name: str, slug: str) -> ModelCard:
    """A card that `user` may change. Raises Http404 for everybody else, so that nobody learns of unpublished ones."""
    if not may_maintain_cards(user):
        raise Http404
    cards = ModelCard.objects.select_related("current_revision__author")
    card = cards.filter(owner_name=owner_name, slug=slug).first()
    if card is None:
        raise Http404
    return card


# --- Gates


class GateClosed(PermissionDenied):
    """Somebody wants to run a model whose gate is closed to them. `str()` says what to do, `address` where to ask."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.gate = Gate(card.gate)
        self.address = reverse("catalog:access", args=[card.owner_name, card.slug])
        if self.gate is Gate.AGREEMENT:
            message = _("%(card)s runs for people who agreed to its terms. Read them and agree at %(address)s.")
        else:
            message = _("%(card)s runs for people whom its maintainers let in. Ask for access at %(address)s.")
        super().__init__(message % {"card": card.name, "address": self.address})


def may_run(user: User | AnonymousUser | None, card: ModelCard) -> bool:
    """Whether the card's gate is open to this person; to its maintainers it always is."""
    if card.gate == Gate.OPEN:
        return True
    if user is None or isinstance(user, AnonymousUser):
        return False
    return (
        may_maintain_cards(user)
        or AccessRequest.objects.filter(card=card, user=user, state=AccessState.GRANTED).exists()
    )


def require_access(user: User | AnonymousUser | None, card: ModelCard) -> None:
    """Raises GateClosed, a 403 that says where to ask."""
    if not may_run(user, card):
        raise GateClosed(card)


def variants_for(user: User | AnonymousUser | None) -> list[Variant]:
    """The variants that this person may send a prompt to, in the order in which they are offered.

    One query while no card has a gate.
    """
    offered = list(runnable_variants())
    open_to = open_cards(user, [variant.card for variant in offered])
    return [variant for variant in offered if variant.card_id in open_to]


def open_cards(user: User | AnonymousUser | None, cards: Iterable[ModelCard]) -> set[int]:
    """The keys of those cards whose gates are open to this person; no query while none has a gate."""
    cards = list(cards)
    if all(card.gate == Gate.OPEN for card in cards) or (isinstance(user, User) and may_maintain_cards(user)):
        return {card.pk for card in cards}
    allowed: set[int] = set()
    if isinstance(user, User):
        granted = AccessRequest.objects.filter(user=user, state=AccessState.GRANTED)
        allowed = set(granted.values_list("card_id", flat=True))
    return {card.pk for card in cards if card.gate == Gate.OPEN or card.pk in allowed}
