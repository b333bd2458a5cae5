"""Who follows which card, what happened to it, and the mails that tell them and those who asked at a gate."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.catalog.gate_models import AccessState

MAX_MAIL_ATTEMPTS: Final = 3
RETRY_MAIL_AFTER: Final = timedelta(minutes=5)


class Follow(models.Model):
    """One person who wants to hear of one card."""

    card = models.ForeignKey("catalog.ModelCard", on_delete=models.CASCADE, related_name="follows")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="follows")
    created_at = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "user"], name="follow_unique")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.card_id}"


class EventKind(models.TextChoices):
    """What followers hear of."""

    REVISION = "revision", _("New text")
    VARIANT = "variant", _("New variant")
    LIMITATION = "limitation", _("Known limitation")


class CardEvent(models.Model):
    """Something that happened to a card, once; feeds and mails are made of these."""

    card = models.ForeignKey("catalog.ModelCard", on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(_("kind"), max_length=12, choices=EventKind)
    # Names what happened, so that recording it twice is one event.
    key = models.CharField(max_length=120)
    title = models.CharField(_("title"), max_length=300)
    # An address of this portal, without its host.
    address = models.CharField(max_length=300)
    created_at = models.DateTimeField(_("happened"), default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["card", "kind", "key"], name="card_event_unique")]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="card_event_created"),
            models.Index(fields=["card", "-created_at", "-id"], name="card_event_of_card"),
        ]

    def __str__(self) -> str:
        return f"{self.card_id} {self.kind} {self.key}"

    @property
    def sentence(self) -> str:
        """Kind and title; a variant's title says both."""
        return self.title if self.kind == EventKind.VARIANT else f"{self.get_kind_display()}: {self.title}"


class MailState(models.TextChoices):
    """queued → claimed → sent | queued again | dropped. What stays claimed was cut off, and may have been sent."""

    QUEUED = "queued", _("Queued")
    CLAIMED = "claimed", _("Being sent")
    SENT = "sent", _("Sent")
    DROPPED = "dropped", _("Not sent")


class Outgoing(models.Model):
    """A row that a mail is made of, once: an outbox. A worker that dies midway sends it never, not twice."""

    state = models.CharField(_("state"), max_length=8, choices=MailState, default=MailState.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        abstract = True

    def claim(self) -> bool:
        """Make the mail this worker's own; False when another one has it."""
        queued = self._row().filter(state=MailState.QUEUED, due_at__lte=timezone.now())
        return bool(queued.update(state=MailState.CLAIMED, attempts=F("attempts") + 1))

    def sent(self) -> None:
        self._leave_claim(state=MailState.SENT, sent_at=timezone.now())

    def drop(self) -> None:
        """Nobody is to hear of it any more."""
        self._leave_claim(state=MailState.DROPPED)

    def refused(self) -> None:
        """The mail server took nothing: try again later, MAX_MAIL_ATTEMPTS times in all."""
        mine = self._row().filter(state=MailState.CLAIMED)
        if not mine.filter(attempts__gte=MAX_MAIL_ATTEMPTS).update(state=MailState.DROPPED):
            mine.update(state=MailState.QUEUED, due_at=timezone.now() + RETRY_MAIL_AFTER)

    def _row(self) -> QuerySet[Self]:
        return type(self)._default_manager.filter(pk=self.pk)  # noqa: SLF001

    def _leave_claim(self, **values: object) -> None:
        self._row().filter(state=MailState.CLAIMED).update(**values)


class EventMail(Outgoing):
    """The mail to one person about one event, or about what became of their request at a gate."""

    event = models.ForeignKey(CardEvent, on_delete=models.CASCADE, null=True, related_name="mails")
    access_request = models.ForeignKey(
        "catalog.AccessRequest", on_delete=models.CASCADE, null=True, related_name="mails"
    )
    decision = models.CharField(_("decision"), max_length=10, choices=AccessState, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "user"], name="event_mail_unique"),
            models.UniqueConstraint(fields=["access_request", "decision"], name="decision_mail_unique"),
            models.CheckConstraint(
                condition=models.Q(event__isnull=False, access_request__isnull=True, decision="")
                | (models.Q(event__isnull=True, access_request__isnull=False) & ~models.Q(decision="")),
                name="mail_about_one_thing",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(state="queued"), name="event_mail_due")]

    def __str__(self) -> str:
        return f"{self.event_id or self.access_request_id} {self.user_id} {self.state}"
