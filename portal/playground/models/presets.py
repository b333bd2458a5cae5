"""Presets: sampling parameters and a system prompt under a name, somebody's own and shared by link if they wish."""

from __future__ import annotations

import uuid
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

MAX_NAME_CHARACTERS: Final = 60


class Preset(models.Model):
    """One person's named settings. `params` holds only what the preset sets; the rest stays with the variant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="presets"
    )
    visitor = models.UUIDField(null=True, blank=True, editable=False)
    name = models.CharField(_("name"), max_length=MAX_NAME_CHARACTERS)
    params = models.JSONField(_("sampling parameters"), default=dict)
    system_prompt = models.TextField(_("system prompt"), blank=True)
    # Whoever has the link can see and copy it; without one, nobody else can.
    share_token = models.CharField(max_length=64, null=True, blank=True, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("preset")
        verbose_name_plural = _("presets")
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="preset_has_one_owner",
            ),
            models.UniqueConstraint(
                fields=["owner", "name"], condition=Q(owner__isnull=False), name="preset_name_unique_per_user"
            ),
            models.UniqueConstraint(
                fields=["visitor", "name"], condition=Q(visitor__isnull=False), name="preset_name_unique_per_visitor"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The shared page; only for a preset that is shared."""
        return reverse("playground:shared_preset", args=[self.share_token])
