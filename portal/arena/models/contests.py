"""Contests between variants: the same prompts to each contender, in a conversation of its own.

While a battle is blind, its conversations belong to a visitor that no browser has (`sealed_as`), so that no page, list
or API reaches them.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.arena.models.pools import Pool
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation

MAX_CONTENDERS: Final = 4


class Kind(models.TextChoices):
    """Whether the names were known while the answers were read."""

    SIDE_BY_SIDE = "side_by_side", _("Side by side")
    BATTLE = "battle", _("Battle")


class Contest(models.Model):
    """The same prompts to two to four contenders, owned by one account or one anonymous visitor."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="contests"
    )
    visitor = models.UUIDField(null=True, blank=True, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, null=True, blank=True, related_name="contests")
    # Chosen by the client, so that sending one form twice begins one contest.
    request_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    sealed_as = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    revealed_at = models.DateTimeField(_("names shown"), null=True, blank=True)

    class Meta:
        verbose_name = _("contest")
        verbose_name_plural = _("contests")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="contest_has_one_owner",
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.BATTLE, pool__isnull=False) | Q(kind=Kind.SIDE_BY_SIDE, pool__isnull=True),
                name="contest_battle_has_pool",
            ),
            models.CheckConstraint(
                condition=Q(sealed_as__isnull=True) | Q(kind=Kind.BATTLE, revealed_at__isnull=True),
                name="contest_sealed_is_blind_battle",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="contest_of_owner"),
            models.Index(fields=["visitor", "-created_at"], name="contest_of_visitor"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return reverse("arena:battle" if self.kind == Kind.BATTLE else "arena:side_by_side", args=[self.pk])

    @property
    def is_blind(self) -> bool:
        """The names are not shown yet."""
        return self.kind == Kind.BATTLE and self.revealed_at is None

    def reveal(self) -> bool:
        """blind → revealed: the conversations become the owner's own. Call inside a transaction."""
        if not Contest.objects.filter(pk=self.pk, kind=Kind.BATTLE, revealed_at=None).update(
            revealed_at=timezone.now(), sealed_as=None
        ):
            return False
        # The row as it is now: since this object was loaded, the battle may have gone over to who signed in.
        self.refresh_from_db(fields=["owner", "visitor", "revealed_at", "sealed_as"])
        Conversation.objects.filter(contender__contest=self).update(owner=self.owner, visitor=self.visitor)
        return True


class Contender(models.Model):
    """One variant in a contest, with its parameters, its side and its conversation."""

    contest = models.ForeignKey(Contest, on_delete=models.CASCADE, related_name="contenders")
    position = models.PositiveSmallIntegerField(_("side, counted from the left"))
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="contenders")
    params = models.JSONField(_("sampling parameters"))
    conversation = models.OneToOneField(Conversation, on_delete=models.CASCADE, related_name="contender")

    class Meta:
        verbose_name = _("contender")
        verbose_name_plural = _("contenders")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["contest", "position"], name="contender_position_unique"),
            models.CheckConstraint(condition=Q(position__lt=MAX_CONTENDERS), name="contender_position_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.contest_id} {self.letter}"

    @property
    def letter(self) -> str:
        return "ABCD"[self.position]


class Reply(models.Model):
    """A contender's answer to one turn. When a run failed and is tried again, the new run takes its place."""

    contender = models.ForeignKey(Contender, on_delete=models.CASCADE, related_name="replies")
    turn = models.PositiveSmallIntegerField(_("turn"), help_text=_("Counted from 1."))
    generation = models.OneToOneField(Generation, on_delete=models.CASCADE, related_name="reply")

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        ordering = ["turn", "contender__position"]
        constraints = [
            # Two tabs that send at once: one turn begins, the other is told.
            models.UniqueConstraint(fields=["contender", "turn"], name="reply_one_per_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.contender_id} #{self.turn}"

    def give_way_to(self, generation: Generation) -> bool:
        """Show `generation` instead of the failed run that this object shows; False when another was quicker."""
        return Reply.objects.filter(pk=self.pk, generation=self.generation_id).update(generation=generation) == 1


class Comparison(models.Model):
    """Two answers to the same turn, `generation_a` on the left; may hold a Vote.

    Owned as its contest is, so that `actor.owns()` finds it. A battle has exactly one, made with its vote.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contest = models.ForeignKey(Contest, on_delete=models.CASCADE, related_name="comparisons")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="comparisons"
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, editable=False)
    generation_a = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="comparisons_as_a")
    generation_b = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="comparisons_as_b")
    turn = models.PositiveSmallIntegerField(_("turn"), help_text=_("Counted from 1."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="comparison_has_one_owner",
            ),
            models.CheckConstraint(condition=~Q(generation_a=F("generation_b")), name="comparison_of_two"),
            models.UniqueConstraint(fields=["generation_a", "generation_b"], name="comparison_pair_unique"),
            models.UniqueConstraint(
                fields=["contest"], condition=Q(kind=Kind.BATTLE), name="comparison_one_per_battle"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="comparison_of_owner"),
            models.Index(fields=["visitor", "-created_at"], name="comparison_of_visitor"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return self.contest.get_absolute_url()
