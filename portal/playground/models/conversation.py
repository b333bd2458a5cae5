"""Conversations: trees of generations, each one account's or one visitor's own."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Conversation(models.Model):
    """A tree of generations, owned by one account or one anonymous visitor."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="conversations"
    )
    visitor = models.UUIDField(null=True, blank=True, editable=False)
    title = models.CharField(_("title"), max_length=120, blank=True)
    system_prompt = models.TextField(_("system prompt"), blank=True)
    # Not on the list of conversations: it is a part of something that has a page of its own.
    is_listed = models.BooleanField(default=True, editable=False)
    # Whoever deletes it can take that back until the sweep purges it.
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering = ["-updated_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="conversation_has_one_owner",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "-updated_at", "-id"], name="conversation_of_owner"),
            models.Index(fields=["owner", "-created_at", "-id"], name="conversation_begun_by_owner"),
            models.Index(fields=["visitor", "-updated_at", "-id"], name="conversation_of_visitor"),
            models.Index(
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="conversation_to_be_purged"
            ),
        ]

    def __str__(self) -> str:
        return self.title or str(self.pk)

    def get_absolute_url(self) -> str:
        return reverse("playground:conversation", args=[self.pk])

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def delete_softly(self) -> bool:
        """Hide it until it is restored or purged; False when it was hidden already."""
        return self._live().update(deleted_at=timezone.now()) == 1

    def restore(self) -> bool:
        """Take a deletion back; False when there is none."""
        return Conversation.objects.filter(pk=self.pk, deleted_at__isnull=False).update(deleted_at=None) == 1

    def revise(self, **values: str) -> bool:
        """Give it a title or a system prompt of its owner's choice. The order of the list, by last turn, stays."""
        return self._live().update(**values) == 1

    def _live(self) -> models.QuerySet[Conversation]:
        return Conversation.objects.filter(pk=self.pk, deleted_at__isnull=True)
