"""Keeps the search index true to cards and variants, however they were saved, and tells of new variants."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils.translation import gettext as _

from portal.catalog.card_index import index_card
from portal.catalog.following import record_card_event
from portal.catalog.models import EventKind, ModelCard, Variant
from portal.catalog.search_index import create_search_table, index_words


def make_search_table(sender: Any, using: str, **options: Any) -> None:
    """After migrations: the table, and in it the cards of an installation that did not have it."""
    if create_search_table(using):
        for card in ModelCard.objects.using(using).select_related("current_revision").iterator():
            index_card(card, using)


@receiver(post_save, sender=ModelCard)
def card_saved(instance: ModelCard, using: str, raw: bool, **options: Any) -> None:
    if not raw:
        index_card(instance, using)


@receiver(post_delete, sender=ModelCard)
def card_deleted(instance: ModelCard, using: str, **options: Any) -> None:
    index_words(using, instance.pk, None)


@receiver(post_save, sender=Variant)
def variant_saved(instance: Variant, created: bool, using: str, raw: bool, **options: Any) -> None:
    if raw:
        return
    index_card(instance.card, using)
    if created:
        title = _("New variant %(name)s") % {"name": instance.slug}
        address = f"{instance.card.get_absolute_url()}#variant-{instance.slug}"
        record_card_event(instance.card, EventKind.VARIANT, instance.slug, title=title, address=address)


@receiver(post_delete, sender=Variant)
def variant_deleted(instance: Variant, using: str, **options: Any) -> None:
    card = ModelCard.objects.using(using).filter(pk=instance.card_id).first()
    if card is not None:  # a variant goes with its card, too
        index_card(card, using)
