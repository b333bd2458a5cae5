"""Contests between variants, the pairs of answers that were compared, the votes on them, and stored rankings.

A contest sends the same prompts to its contenders, each in a conversation of its own. While a battle is blind, its
conversations belong to a visitor that no browser has (`sealed_as`), so that no page, list or API reaches them.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.arena.review_states import MAX_REASON_CHARACTERS, SET_ASIDE, ReviewState
from portal.arena.signals import vote_changed
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation

MAX_CONTENDERS: Final = 4


class Kind(models.TextChoices):
    """Whether the names were known while the answers were read."""

    SIDE_BY_SIDE = "side_by_side", _("Side by side")
    BATTLE = "battle", _("Battle")


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


class Ranking(models.Model):
    """A computed leaderboard: of which votes, when, and what came out (ranking.py has its form)."""

    # Of the filters: equal questions share a row.
    key = models.CharField(max_length=64, primary_key=True)
    filters = models.JSONField(_("filters"), default=dict)
    result = models.JSONField(_("result"), null=True, blank=True)
    # The votes that it was made of: how many, and the last change among them.
    vote_count = models.PositiveIntegerField(_("votes"), default=0)
    high_water = models.DateTimeField(_("newest vote"), null=True, blank=True)
    computed_at = models.DateTimeField(_("computed"), null=True, blank=True)
    # Until then nobody else computes it: while somebody does, and for a rest after that.
    busy_until = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField(_("last asked for"), default=timezone.now)

    class Meta:
        verbose_name = _("ranking")
        verbose_name_plural = _("rankings")
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["asked_at"], name="ranking_asked")]

    def __str__(self) -> str:
        return self.key

    def is_made_of(self, votes: int, changed_at: datetime | None) -> bool:
        """Whether these are the votes that it was computed from."""
        return self.computed_at is not None and (self.vote_count, self.high_water) == (votes, changed_at)

    def claim(self, longest: timedelta) -> bool:
        """free → busy: whoever gets True computes it."""
        now = timezone.now()
        return Ranking.objects.filter(pk=self.pk, busy_until__lte=now).update(busy_until=now + longest) == 1

    def release(self, rest: timedelta) -> None:
        """busy → free after a rest, with the result that it had."""
        Ranking.objects.filter(pk=self.pk).update(busy_until=timezone.now() + rest)

    def store(self, result: dict[str, Any], votes: int, changed_at: datetime | None, *, rest: timedelta) -> None:
        """busy → free after a rest, with a new result."""
        now = timezone.now()
        Ranking.objects.filter(pk=self.pk).update(
            result=result, vote_count=votes, high_water=changed_at, computed_at=now, busy_until=now + rest
        )
