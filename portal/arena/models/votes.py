"""Votes on comparisons: everything that a ranking reads, also when the texts are gone."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.arena.models.contests import Comparison, Kind
from portal.arena.models.pools import Pool
from portal.arena.review_states import MAX_REASON_CHARACTERS, SET_ASIDE, ReviewState
from portal.arena.signals import vote_changed
from portal.catalog.models import Variant


class Outcome(models.TextChoices):
    """What the person said; A is the left side as it was shown."""

    A = "a", _("A is better")
    B = "b", _("B is better")
    TIE = "tie", _("Equally good")
    BOTH_BAD = "both_bad", _("Both are bad")


class Category(models.TextChoices):
    """What the prompt is about (prompt_kinds.py has the rules)."""

    CODE = "code", _("Code")
    MATHS = "maths", _("Maths")
    WRITING = "writing", _("Writing")
    OTHER = "other", _("Other")


class VoidReason(models.TextChoices):
    """Why a vote is kept but not ranked."""

    IDENTITY_ASKED = "identity_asked", _("The prompt asks who answers")
    NAME_IN_ANSWER = "name_in_answer", _("An answer gave a name away")
    OPERATOR = "operator", _("Taken out by an operator")


class Vote(models.Model):
    """One judgement of a comparison, with everything that the ranking reads.

    It outlives the texts: who deletes the account or the conversations takes the comparison along, and what stays is
    which of two variants was preferred, without a person. `style_a` and `style_b` count characters, headers, lists
    and bold (style_counts.py). Withdrawing keeps the row as a tombstone: when and on what, but no longer what was said.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Null is what remains once the texts are deleted; unique, so a comparison is voted on once.
    comparison = models.OneToOneField(Comparison, on_delete=models.SET_NULL, null=True, blank=True, related_name="vote")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, null=True, blank=True, related_name="votes")
    variant_a = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="votes_as_a")
    variant_b = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="votes_as_b")
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome)
    reasons = models.JSONField(_("reasons"), default=list, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="votes",
        verbose_name=_("voter"),
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, editable=False)
    # Tells that two came from one network, and not from which; gone with the person, or with the vote.
    network_digest = models.CharField(max_length=20, blank=True, editable=False)
    turns = models.PositiveSmallIntegerField(_("turns read"), default=1)
    language = models.CharField(_("language"), max_length=3, default="und")
    category = models.CharField(_("category"), max_length=10, choices=Category, default=Category.OTHER)
    hardness = models.PositiveSmallIntegerField(_("hardness"), default=0)
    style_a = models.JSONField(_("style of A"), default=dict)
    style_b = models.JSONField(_("style of B"), default=dict)
    # Of the prompts, so that votes on the same question find each other also when the text is gone.
    prompt_digest = models.CharField(max_length=64, blank=True, editable=False)
    void_reason = models.CharField(_("not ranked because"), max_length=20, choices=VoidReason, blank=True)
    review_state = models.CharField(_("review"), max_length=20, choices=ReviewState, default=ReviewState.UNREVIEWED)
    review_reason = models.CharField(
        _("reason for the voter"), max_length=MAX_REASON_CHARACTERS, blank=True, editable=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    # Moves with every change that a ranking can notice.
    changed_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(owner__isnull=False, visitor__isnull=False), name="vote_one_kind_of_voter"
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.BATTLE, pool__isnull=False) | Q(kind=Kind.SIDE_BY_SIDE, pool__isnull=True),
                name="vote_battle_has_pool",
            ),
        ]
        indexes = [
            models.Index(fields=["pool", "created_at"], name="vote_in_pool"),
            models.Index(fields=["created_at", "id"], name="vote_created"),
            models.Index(fields=["changed_at"], name="vote_changed"),
            models.Index(fields=["owner", "-created_at"], name="vote_of_owner"),
            models.Index(fields=["visitor", "-created_at"], name="vote_of_visitor"),
            models.Index(fields=["prompt_digest", "variant_a", "variant_b"], name="vote_on_prompt"),
            models.Index(fields=["network_digest", "created_at"], name="vote_of_network"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    @property
    def version(self) -> int:
        """1 as it was given, 2 withdrawn: a vote is never changed."""
        return 2 if self.is_withdrawn else 1

    @property
    def is_ranked(self) -> bool:
        """Blind, not void, not withdrawn, and not set aside by reviewers."""
        is_set_aside = self.review_state in SET_ASIDE
        return self.kind == Kind.BATTLE and not (self.void_reason or self.is_withdrawn or is_set_aside)

    def record_review(self, state: ReviewState, reason: str = "") -> bool:
        """What reviewers made of it; False when they had said so already, or it was withdrawn."""
        reason = reason[:MAX_REASON_CHARACTERS]
        is_new = Q(withdrawn_at=None) & ~Q(review_state=state, review_reason=reason)
        return self._change(is_new, review_state=state, review_reason=reason)

    def withdraw(self) -> bool:
        """Become a tombstone; False when it was one."""
        return self._change(
            Q(withdrawn_at=None),
            withdrawn_at=timezone.now(),
            outcome="",
            reasons=[],
            prompt_digest="",
            network_digest="",
        )

    def void(self, reason: VoidReason) -> bool:
        """Keep the vote and rank without it; False when it was void already."""
        return self._change(Q(void_reason="", withdrawn_at=None), void_reason=reason)

    def count_again(self) -> bool:
        """Take back what an operator took out; what gave a name away stays void."""
        return self._change(Q(void_reason=VoidReason.OPERATOR, withdrawn_at=None), void_reason="")

    def _change(self, condition: Q, **values: Any) -> bool:
        with transaction.atomic():
            if not Vote.objects.filter(condition, pk=self.pk).update(changed_at=timezone.now(), **values):
                return False
            for name, value in values.items():
                setattr(self, name, value)
            vote_changed.send(sender=Vote, vote=self)
        return True
