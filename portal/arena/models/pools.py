"""Pools: the variants that may meet in battles, and how often each is drawn."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import Variant


class Pairing(models.TextChoices):
    """Which variants of a pool may meet."""

    CARDS = "cards", _("Variants of different cards")
    PRECISIONS = "precisions", _("Variants of one card")
    ANY = "any", _("Any two variants")


class Pool(models.Model):
    """The variants that may meet in battles, and that are ranked against each other."""

    slug = models.SlugField(_("name"), max_length=60, unique=True)
    title = models.CharField(_("title"), max_length=120)
    summary = models.CharField(_("summary"), max_length=300, blank=True)
    pairing = models.CharField(_("pairing"), max_length=10, choices=Pairing, default=Pairing.ANY)
    is_automatic = models.BooleanField(
        _("takes every runnable variant"),
        default=False,
        help_text=_("With weight 1, unless an entry below gives another; a weight of 0 keeps a variant out."),
    )
    is_open = models.BooleanField(_("open"), default=True, help_text=_("New battles may begin in it."))
    identity_words = models.TextField(
        _("words that give a name away"),
        blank=True,
        help_text=_("One per line, beside the names of cards and owners: an answer with one of them is not ranked."),
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("pool")
        verbose_name_plural = _("pools")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title


class PoolEntry(models.Model):
    """A variant's sampling weight in a pool: twice the weight is drawn twice as often."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="entries")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="pool_entries")
    weight = models.FloatField(_("sampling weight"), default=1.0)

    class Meta:
        verbose_name = _("pool entry")
        verbose_name_plural = _("pool entries")
        constraints = [
            models.UniqueConstraint(fields=["pool", "variant"], name="pool_entry_unique"),
            models.CheckConstraint(condition=Q(weight__gte=0, weight__lte=1000), name="pool_entry_weight_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.pool_id} {self.variant_id}"
