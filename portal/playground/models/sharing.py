"""Unlisted links to a run or a conversation, until its owner revokes them."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.playground.models.conversation import Conversation
from portal.playground.models.generation import Generation

TOKEN_BYTES: Final = 24


def new_token() -> str:
    """192 random bits: nobody finds a link by trying."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class ShareLink(models.Model):
    """Shows one run, or one conversation as it stands, to whoever has the link. A revoked one never works again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    generation = models.ForeignKey(
        Generation, on_delete=models.CASCADE, null=True, blank=True, related_name="share_links"
    )
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, null=True, blank=True, related_name="share_links"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("share link")
        verbose_name_plural = _("share links")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(generation__isnull=False, conversation__isnull=True)
                | Q(generation__isnull=True, conversation__isnull=False),
                name="share_link_has_one_target",
            ),
            models.UniqueConstraint(
                fields=["generation"], condition=Q(revoked_at__isnull=True), name="share_link_one_per_generation"
            ),
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(revoked_at__isnull=True), name="share_link_one_per_conversation"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def revoke(self) -> bool:
        """End it for good; False when it was revoked already."""
        live = ShareLink.objects.filter(pk=self.pk, revoked_at__isnull=True)
        return live.update(revoked_at=timezone.now()) == 1
