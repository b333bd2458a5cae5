"""Who may run a card's model: its gate, and what people asked and were answered."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_REASON_CHARACTERS: Final = 500


class Gate(models.TextChoices):
    """What comes before running a card's model. Its page is read by everybody."""

    OPEN = "open", _("Open: everybody runs it")
    AGREEMENT = "agreement", _("By agreement: who fills in the form runs it at once")
    APPROVAL = "approval", _("By approval: a maintainer answers each request")


class AccessState(models.TextChoices):
    """pending → granted | declined; granted → revoked. Who was declined or revoked asks again with a new request."""

    PENDING = "pending", _("Waiting")
    GRANTED = "granted", _("Granted")
    DECLINED = "declined", _("Declined")
    REVOKED = "revoked", _("Revoked")


OPEN_STATES: Final = (AccessState.PENDING, AccessState.GRANTED)
REFUSED_STATES: Final = (AccessState.DECLINED, AccessState.REVOKED)


class AccessRequest(models.Model):
    """One person's request to run a card's model, with what they agreed to; earlier ones stay as the history."""

    card = models.ForeignKey("catalog.ModelCard", on_delete=models.CASCADE, related_name="access_requests")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_requests")
    state = models.CharField(_("state"), max_length=10, choices=AccessState, default=AccessState.PENDING)
    answers = models.JSONField(_("answers"), default=dict)
    # The card may change its terms later.
    terms = models.TextField(_("terms agreed to"), blank=True)
    created_at = models.DateTimeField(_("asked"), default=timezone.now)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(_("reason"), max_length=MAX_REASON_CHARACTERS, blank=True)

    class Meta:
        verbose_name = _("access request")
        verbose_name_plural = _("access requests")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["card", "user"], condition=Q(state__in=["pending", "granted"]), name="access_one_open_request"
            )
        ]
        indexes = [
            models.Index(fields=["user", "card", "state"], name="access_of_user"),
            models.Index(fields=["card", "state", "-created_at"], name="access_of_card"),
        ]

    def __str__(self) -> str:
        return f"{self.card_id} {self.user_id} {self.state}"

    def grant(self, by: models.Model | None) -> bool:
        """Let the person in; False when somebody decided before."""
        return self._decide((AccessState.PENDING,), AccessState.GRANTED, by, "")

    def decline(self, by: models.Model, reason: str) -> bool:
        """Say no; the person reads the reason and may ask again."""
        return self._decide((AccessState.PENDING,), AccessState.DECLINED, by, reason)

    def revoke(self, by: models.Model, reason: str) -> bool:
        """Take back what was granted, from the next run on."""
        return self._decide((AccessState.GRANTED,), AccessState.REVOKED, by, reason)

    def _decide(
        self, before: tuple[AccessState, ...], state: AccessState, by: models.Model | None, reason: str
    ) -> bool:
        values = {"state": state, "decided_by": by, "decided_at": timezone.now(), "reason": reason}
        if not AccessRequest.objects.filter(pk=self.pk, state__in=before).update(**values):
            return False
        for name, value in values.items():
            setattr(self, name, value)
        return True
