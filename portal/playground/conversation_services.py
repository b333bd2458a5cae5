"""Begin, change, delete and restore conversations."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.playground.models import ACTIVE_STATES, Conversation
from portal.playground.text_limits import text_errors

MAX_TITLE_CHARACTERS: Final = 120


def create_conversation(actor: Actor, *, title: str = "", system_prompt: str = "") -> Conversation:
    """An empty one; without a title, its first prompt names it.

    Raises ValidationError naming the field and the limit.
    """
    title = _plain(title)
    if errors := (_title_errors(title) if title else {}) | _system_prompt_errors(system_prompt):
        raise ValidationError(errors)
    return Conversation.objects.create(title=title, system_prompt=system_prompt, **actor.ownership())


def revise_conversation(
    conversation: Conversation, *, title: str | None = None, system_prompt: str | None = None
) -> None:
    """Change what is given; the turns that there are keep the system prompt that they were asked with.

    Raises ValidationError naming the field and the limit, and then changes nothing.
    """
    changes: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    if title is not None:
        changes["title"] = _plain(title)
        errors |= _title_errors(changes["title"])
    if system_prompt is not None:
        changes["system_prompt"] = system_prompt
        errors |= _system_prompt_errors(system_prompt)
    if errors:
        raise ValidationError(errors)
    if changes:
        conversation.revise(**changes)


def _plain(title: str) -> str:
    return " ".join(title.split())


def _title_errors(title: str) -> dict[str, list[str]]:
    return {"title": [_("Write a title.")]} if not title else text_errors("title", title, MAX_TITLE_CHARACTERS)


def _system_prompt_errors(text: str) -> dict[str, list[str]]:
    return text_errors("system_prompt", text, settings.MAX_SYSTEM_PROMPT_CHARACTERS)


def delete_conversation(conversation: Conversation) -> bool:
    """Hide it, stop what runs in it, and keep it for a while; False when it was hidden already."""
    with transaction.atomic():
        is_deleted = conversation.delete_softly()
        if is_deleted:
            for generation in conversation.generations.filter(state__in=ACTIVE_STATES):
                generation.request_cancel()
    return is_deleted


def restore_conversation(conversation: Conversation) -> bool:
    """Take a deletion back; False when there is none."""
    return conversation.restore()
