"""What is under review: submissions and votes as items with their lease and their state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.arena.models import Vote
from portal.catalog.models import ModelCard, Variant
from portal.feedback.models import Campaign, Submission
from portal.reviews.models.policy import QueuePolicy
from portal.reviews.settling import CLAIMABLE_STATES, ItemState, Kind, LiveVerdict, Reason, Settlement, Verdict, settle

if TYPE_CHECKING:
    from portal.reviews.models.verdicts import Review


# What can be reviewed.
Subject = Submission | Vote


class Sign(models.TextChoices):
    """What looks like abuse about a submission or a vote."""

    COPY = "copy", _("The same text was given before")
    NEAR_COPY = "near-copy", _("Nearly the same text was given before")
    FLOOD = "flood", _("Many from one person in a short time")
    NETWORK_FLOOD = "network-flood", _("Many from one network in a short time")


class EnteredBy(models.TextChoices):
    """Which rule put a submission or a vote into the queue."""

    ALL = "all", _("Everything enters")
    SAMPLE = "sample", _("Drawn into the sample")
    FLAGGED = "flagged", _("Flagged")
    DISAGREEMENT = "disagreement", _("People disagree")
    HAND = "hand", _("Put in by hand")


class ReviewItem(models.Model):
    """One submission or vote under review. `state` is what `settle` makes of its live verdicts; only `apply` writes it.

    Filters read the copies of its facts here, so that a page of a long queue needs no join. One person at a time holds
    an item, by a lease; `claim_number` is the fence of their writes.
    """

    submission = models.OneToOneField(
        Submission, on_delete=models.CASCADE, null=True, blank=True, related_name="review_item"
    )
    vote = models.OneToOneField(Vote, on_delete=models.CASCADE, null=True, blank=True, related_name="review_item")
    policy = models.ForeignKey(QueuePolicy, on_delete=models.PROTECT, related_name="+", db_index=False)
    entered_by = models.CharField(_("entered by"), max_length=20, choices=EnteredBy)
    entered_at = models.DateTimeField(_("entered"), default=timezone.now, editable=False)
    needed = models.PositiveSmallIntegerField(_("reviewers needed"), default=2)
    priority = models.SmallIntegerField(_("priority"), default=0)

    state = models.CharField(_("state"), max_length=12, choices=ItemState, default=ItemState.WAITING)
    is_claimable = models.BooleanField(_("can be claimed"), default=True, editable=False)
    needs_maintainer = models.BooleanField(_("escalated"), default=False, editable=False)
    is_quarantined = models.BooleanField(_("quarantined"), default=False, editable=False)
    is_gold = models.BooleanField(_("gold"), default=False, editable=False)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Verdict, blank=True)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    duplicate_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="duplicates", verbose_name=_("same as")
    )
    verdict_count = models.PositiveSmallIntegerField(_("verdicts"), default=0)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    claim_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    claim_number = models.PositiveIntegerField(default=0, editable=False)

    # Copies for filters.
    submission_version = models.PositiveIntegerField(_("version of the submission"), default=1)
    target_kind = models.CharField(_("about"), max_length=20, blank=True)
    card = models.ForeignKey(
        ModelCard, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    variant = models.ForeignKey(
        Variant, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    questionnaire = models.CharField(_("questionnaire"), max_length=80, blank=True)
    language = models.CharField(_("language"), max_length=12, blank=True)
    thumb = models.CharField(_("thumb"), max_length=4, blank=True)
    campaign = models.ForeignKey(
        Campaign, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    # Why it may be abuse: keys of `Sign`. They order and mark, and decide nothing.
    signs = models.JSONField(_("signs of abuse"), default=list, blank=True, editable=False)
    is_suspicious = models.BooleanField(_("shows signs of abuse"), default=False, editable=False)

    class Meta:
        verbose_name = _("review item")
        verbose_name_plural = _("review items")
        ordering = ["-entered_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(submission__isnull=False, vote__isnull=True)
                | Q(submission__isnull=True, vote__isnull=False),
                name="item_of_one_subject",
            ),
            # A boolean and not the list of states is what SQLite recognises as a partial index's condition.
            models.CheckConstraint(
                condition=Q(is_claimable=True, state__in=CLAIMABLE_STATES)
                | Q(~Q(state__in=CLAIMABLE_STATES), is_claimable=False),
                name="item_claimable_by_state",
            ),
            models.CheckConstraint(
                condition=Q(state=ItemState.DECIDED, decided_at__isnull=False) & ~Q(outcome="")
                | Q(~Q(state=ItemState.DECIDED), decided_at__isnull=True, outcome=""),
                name="item_decided_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(claimed_by__isnull=True, claim_expires_at__isnull=True)
                # A claimant whose account is deleted leaves a lease that runs out.
                | Q(claim_expires_at__isnull=False),
                name="item_claim_has_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["-priority", "entered_at", "id"], condition=Q(is_claimable=True), name="item_next_claim"
            ),
            models.Index(fields=["claimed_by"], condition=Q(claimed_by__isnull=False), name="item_claimed_by"),
            models.Index(fields=["id"], condition=Q(is_gold=True), name="item_gold"),
            models.Index(fields=["-entered_at", "-id"], name="item_newest"),
            models.Index(fields=["state", "-entered_at", "-id"], name="item_of_state"),
            models.Index(fields=["outcome", "-entered_at", "-id"], name="item_of_outcome"),
            models.Index(fields=["card", "state", "-entered_at", "-id"], name="item_of_card"),
            models.Index(fields=["variant", "state", "-entered_at", "-id"], name="item_of_variant"),
            models.Index(fields=["language", "state", "-entered_at", "-id"], name="item_of_language"),
            models.Index(fields=["questionnaire", "state", "-entered_at", "-id"], name="item_of_questionnaire"),
            models.Index(fields=["campaign", "state", "-entered_at", "-id"], name="item_of_campaign"),
            models.Index(fields=["-entered_at", "-id"], condition=Q(is_suspicious=True), name="item_suspicious"),
            models.Index(fields=["-decided_at"], condition=Q(decided_at__isnull=False), name="item_decided"),
            models.Index(fields=["target_kind", "state", "-entered_at", "-id"], name="item_of_target_kind"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("reviews:item", args=[self.pk])

    @property
    def subject(self) -> Subject:
        """What is under review."""
        subject = self.submission or self.vote
        # The database keeps that there is one.
        assert subject is not None
        return subject

    @property
    def is_claimed(self) -> bool:
        return self.claim_expires_at is not None and self.claim_expires_at > timezone.now()

    def is_held_by(self, user: User) -> bool:
        return self.claimed_by_id == user.pk and self.is_claimed

    # Leases. Each is one conditional UPDATE and says whether it took place.

    def claim(self, reviewer: User, lease: timedelta) -> bool:
        """Nobody's → `reviewer`'s for `lease`, unless somebody was faster; `claim_number` is the fence from now on."""
        now = timezone.now()
        free = Q(claim_expires_at__isnull=True) | Q(claim_expires_at__lte=now)
        claimed = self._update(
            free & (Q(is_claimable=True) | Q(is_gold=True)) & Q(claim_number=self.claim_number),
            claimed_by=reviewer,
            claimed_at=now,
            claim_expires_at=now + lease,
            claim_number=F("claim_number") + 1,
        )
        if claimed:
            self.claimed_by, self.claimed_at, self.claim_expires_at = reviewer, now, now + lease
            self.claim_number += 1
        return claimed

    def renew(self, reviewer: User, lease: timedelta) -> bool:
        """Keep an item that is held for longer."""
        now = timezone.now()
        return self._update(Q(claimed_by=reviewer, claim_expires_at__gt=now), claim_expires_at=now + lease)

    def release(self, reviewer: User) -> bool:
        """Give an item back without a verdict."""
        return self._update(Q(claimed_by=reviewer), **_NO_CLAIM)

    def _update(self, condition: Q, **values: Any) -> bool:
        return ReviewItem.objects.filter(condition, pk=self.pk).update(**values) == 1

    # What follows happens under a lock on this row.

    def live_verdicts(self) -> list[LiveVerdict]:
        rows = self.reviews.filter(superseded_at=None).exclude(kind=Kind.GOLD)
        return [LiveVerdict(*row) for row in rows.values_list("kind", "verdict", "duplicate_of_id")]

    def settlement(self, *, is_withdrawn: bool) -> Settlement:
        return settle(self.live_verdicts(), self.needed, is_withdrawn=is_withdrawn, is_quarantined=self.is_quarantined)

    def apply(self, settlement: Settlement, at: datetime) -> None:
        """Write what the verdicts make of this item; whoever held it does so no longer."""
        was_decided = self.decided_at if self.outcome == settlement.outcome else None
        is_decided = settlement.state == ItemState.DECIDED
        deciding = self._deciding_review(settlement.outcome) if is_decided else None
        self.state = settlement.state
        self.is_claimable = settlement.state in CLAIMABLE_STATES
        self.needs_maintainer = settlement.needs_maintainer
        self.outcome = settlement.outcome
        self.reason = deciding.reason if deciding is not None else ""
        self.duplicate_of_id = deciding.duplicate_of_id if deciding is not None else None
        self.verdict_count = settlement.verdicts
        self.decided_at = (was_decided or at) if is_decided else None
        self.claimed_by = self.claimed_at = self.claim_expires_at = None
        # What is measured against has to stay decided as it was.
        self.is_gold = self.is_gold and is_decided
        self.save(
            update_fields=[
                "state", "is_claimable", "needs_maintainer", "is_quarantined", "outcome", "reason", "duplicate_of",
                "verdict_count", "decided_at", "submission_version", "is_gold", *_NO_CLAIM,
            ]
        )  # fmt: skip

    def _deciding_review(self, outcome: str) -> Review | None:
        """An adjudicator's verdict before the others', else the first: their reason is the one that is told."""
        live = self.reviews.filter(superseded_at=None, verdict=outcome).exclude(kind=Kind.GOLD)
        return live.order_by(models.Case(models.When(kind=Kind.ADJUDICATION, then=0), default=1), "pk").first()


_NO_CLAIM: Final[dict[str, None]] = {"claimed_by": None, "claimed_at": None, "claim_expires_at": None}
