"""Prompts that are kept out of training, so that they can go on measuring."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_NOTE_CHARACTERS: Final = 200


class HeldOutPrompt(models.Model):
    """A prompt that no training table has, whatever its case, spaces and width of characters.

    Only its digest is kept: a benchmark's questions need not stand in this database to be held out.
    """

    digest = models.CharField(max_length=64, unique=True, editable=False)
    note = models.CharField(_("note"), max_length=MAX_NOTE_CHARACTERS, blank=True, help_text=_("Which benchmark, why."))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("held-out prompt")
        verbose_name_plural = _("held-out prompts")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.digest[:12]


def prompt_digest(prompt: str) -> str:
    """SHA-256 of the prompt in NFKC, without case, runs of white space as one space."""
    normalised = " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())
    return hashlib.sha256(normalised.encode()).hexdigest()
