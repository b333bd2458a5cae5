"""Where what moves is told: endpoints, each message to one of them, and how each attempt to send it went."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.exports.models import ChangeKind, RecordKind

MAX_URL_CHARACTERS: Final = 500
MAX_EXCERPT_CHARACTERS: Final = 500


class Disabled(models.TextChoices):
    """Why nothing is sent to an endpoint; empty while something is."""

    BY_HAND = "by-hand", _("Switched off")
    FAILING = "failing", _("Several messages in a row could not be delivered")
    GONE = "gone", _("The receiver answered that it is gone (410)")
    OWNER = "owner", _("Its owner may not have webhooks any more")
    SECRET = "secret", _("This installation's key was replaced, and the secret with it: make a new one")


class Endpoint(models.Model):
    """An address that is told of chosen kinds of records. The secret is not stored: it is made of the nonce."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_endpoints")
    name = models.CharField(_("name"), max_length=80)
    url = models.CharField(_("address"), max_length=MAX_URL_CHARACTERS)
    # RecordKind values.
    kinds = models.JSONField(_("told of"), default=list)
    disabled = models.CharField(_("why nothing is sent"), max_length=10, choices=Disabled, blank=True)
    # What moved before is not told.
    enabled_at = models.DateTimeField(default=timezone.now)
    given_up_in_a_row = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(_("last delivered"), null=True, blank=True)
    nonce = models.CharField(max_length=64, editable=False)
    # Tells that the secret still is the one that was shown.
    secret_digest = models.CharField(max_length=64, editable=False)
    # The secret before signs as well for a while, so that a receiver can change over.
    old_nonce = models.CharField(max_length=64, blank=True, editable=False)
    old_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["owner", "-created_at", "-id"], name="webhook_of_owner")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("webhooks:endpoint", args=[self.pk])

    @property
    def is_enabled(self) -> bool:
        return not self.disabled

    @property
    def kind_labels(self) -> list[str]:
        return [str(RecordKind(kind).label) for kind in self.kinds]

    def disable(self, why: Disabled) -> bool:
        """Send nothing any more. False when nothing was sent before either."""
        return Endpoint.objects.filter(pk=self.pk, disabled="").update(disabled=why) == 1


class DeliveryState(models.TextChoices):
    """waiting → sending → delivered | waiting again | given up; by hand back to waiting."""

    WAITING = "waiting", _("Waiting")
    SENDING = "sending", _("Being sent")
    DELIVERED = "delivered", _("Delivered")
    GIVEN_UP = "given-up", _("Given up")


PING: Final = "ping"


class Delivery(models.Model):
    """One message to one endpoint: an outbox row. Its body is made when it is sent, so that no row outlives its record.

    Every write after a claim carries its `attempt`; when it changes no row, another worker has the message.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    # The same for every attempt: what a receiver knows a repetition by.
    message_id = models.CharField(_("message"), max_length=40, unique=True, editable=False)
    # The exports' change that this tells of; None for a ping.
    change_id = models.BigIntegerField(null=True, editable=False)
    kind = models.CharField(_("of"), max_length=10, choices=[(PING, _("Ping")), *RecordKind.choices])
    change = models.CharField(_("what happened"), max_length=10, choices=ChangeKind, blank=True)
    record = models.CharField(_("which"), max_length=40, blank=True)
    at = models.DateTimeField(_("happened"), default=timezone.now)

    state = models.CharField(_("state"), max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempt = models.PositiveIntegerField(_("attempts"), default=0)
    # Attempts since it was last asked for, which a redelivery by hand begins anew.
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("message of a webhook")
        verbose_name_plural = _("messages of webhooks")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "change_id"], name="webhook_told_once"),
        ]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_newest"),
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="webhook_delivery_due"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="sending"), name="webhook_delivery_lease"),
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="webhook_delivery_old"),
        ]

    def __str__(self) -> str:
        return self.message_id

    @property
    def type(self) -> str:
        """The event's type, such as submission.created."""
        return f"{self.kind}.{self.change}" if self.change else self.kind

    # Transitions. Each is one conditional UPDATE and says whether it took place.

    def claim(self, lease: timedelta) -> bool:
        """Become this worker's to send; `attempt` is the fence from now on."""
        now = timezone.now()
        lost = Q(state=DeliveryState.SENDING, lease_expires_at__lte=now)
        free = lost | Q(state=DeliveryState.WAITING, due_at__lte=now)
        # Not by a join, which would move the whole condition into a subquery that is not looked at again after a wait.
        is_wanted = Exists(Endpoint.objects.filter(pk=OuterRef("endpoint"), disabled=""))
        claimed = self._move(
            free & Q(is_wanted, attempt=self.attempt),
            state=DeliveryState.SENDING,
            attempt=F("attempt") + 1,
            tries=F("tries") + 1,
            lease_expires_at=now + lease,
        )
        if claimed:
            self.attempt += 1
            self.tries += 1
        return claimed

    def deliver(self) -> bool:
        """sending → delivered."""
        return self._leave(state=DeliveryState.DELIVERED, finished_at=timezone.now())

    def give_up(self) -> bool:
        """sending → given up."""
        return self._leave(state=DeliveryState.GIVEN_UP, finished_at=timezone.now())

    def wait(self, delay_s: float) -> bool:
        """sending → waiting: to be tried again."""
        return self._leave(state=DeliveryState.WAITING, due_at=timezone.now() + timedelta(seconds=delay_s))

    def release(self) -> bool:
        """sending → waiting, as if it had not been tried."""
        return self._leave(state=DeliveryState.WAITING, tries=F("tries") - 1)

    def ask_again(self) -> bool:
        """Send it once more, now; False while it is being sent."""
        return self._move(
            ~Q(state=DeliveryState.SENDING),
            state=DeliveryState.WAITING,
            tries=0,
            due_at=timezone.now(),
            finished_at=None,
        )

    def _leave(self, **values: Any) -> bool:
        mine = Q(state=DeliveryState.SENDING, attempt=self.attempt)
        return self._move(mine, lease_expires_at=None, **values)

    def _move(self, condition: Q, **values: Any) -> bool:
        return Delivery.objects.filter(condition, pk=self.pk).update(**values) == 1


class Attempt(models.Model):
    """How one attempt went: the answer's status and its first characters, or why there was none."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts_made")
    number = models.PositiveIntegerField(_("attempt"))
    at = models.DateTimeField(_("when"), default=timezone.now)
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=300, blank=True)
    latency_ms = models.PositiveIntegerField(_("milliseconds"), default=0)
    excerpt = models.CharField(_("answer"), max_length=MAX_EXCERPT_CHARACTERS, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.delivery_id} #{self.number}"


class Reading(models.Model):
    """How far what moved was made into messages: one row, held while it goes on."""

    transaction_id = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.transaction_id}.{self.last_id}"
