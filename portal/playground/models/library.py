"""The prompt library: collections of prompts that maintainers keep for everybody to try."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class PromptCollection(models.Model):
    """A titled set of prompts; shown to everybody once it is published."""

    slug = models.SlugField(_("name in addresses"), max_length=80, unique=True)
    title = models.CharField(_("title"), max_length=120)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    is_published = models.BooleanField(_("published"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("prompt collection")
        verbose_name_plural = _("prompt collections")
        ordering = ["position", "title"]

    def __str__(self) -> str:
        return self.title


class LibraryPrompt(models.Model):
    """One prompt of a collection."""

    collection = models.ForeignKey(PromptCollection, on_delete=models.CASCADE, related_name="prompts")
    title = models.CharField(_("title"), max_length=120, blank=True)
    prompt = models.TextField(_("prompt"), max_length=8000)
    system_prompt = models.TextField(_("system prompt"), blank=True, max_length=8000)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("library prompt")
        verbose_name_plural = _("library prompts")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title or self.prompt[:60]
