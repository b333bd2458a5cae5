"""What a model is given to read for a prompt: the turns before it, as many as its context has room for."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from inference.engine import Message
from portal.catalog.models import Variant
from portal.playground.context_room import ContextUse, Room, drop_oldest_turns, measure_context
from portal.playground.models import Conversation, Generation, Kind, State


class Overflow(StrEnum):
    """What becomes of a prompt that leaves no room for an answer in its variant's context."""

    # The engine has its say, when the run's turn has come.
    LET_ENGINE_DECIDE = "let_engine_decide"
    REFUSE = "refuse"
    DROP_OLDEST = "drop_oldest"


def preview_context(
    variant: Variant,
    *,
    prompt: str,
    system_prompt: str,
    conversation: Conversation | None,
    parent_id: uuid.UUID | None,
    edits_id: uuid.UUID | None,
    max_tokens: int,
    is_completion: bool = False,
) -> ContextUse:
    """What a run would make the model read, measured; a foreign turn's id counts as none."""
    prompt = prompt[: settings.MAX_PROMPT_CHARACTERS]
    before: list[dict[str, Any]] = []
    parent: Generation | None = None
    if not is_completion:
        named = edits_id or parent_id
        turn = conversation.generations.filter(pk=named).first() if conversation is not None and named else None
        parent = turn.parent if turn is not None and edits_id is not None else turn
        before = turns_before(conversation, system_prompt[: settings.MAX_SYSTEM_PROMPT_CHARACTERS], parent, ())
    messages = [Message(**each) for each in [*before, {"role": "user", "content": prompt}]]
    use = measure_context(variant, messages, max_tokens=max_tokens, is_completion=is_completion)
    return replace(use, is_growing=parent is not None and parent.is_active)


def fitted(
    variant: Variant, messages: list[dict[str, Any]], max_tokens: int, overflow: Overflow, kind: Kind
) -> tuple[list[dict[str, Any]], int]:
    """The messages that are sent, and how many turns were left out of them. Raises ValidationError."""
    if overflow == Overflow.LET_ENGINE_DECIDE:
        return messages, 0
    dropped = 0
    if overflow == Overflow.DROP_OLDEST:
        shortened = drop_oldest_turns(variant, messages, max_tokens=max_tokens)
        messages, dropped = shortened.messages, shortened.dropped
    asked = [Message(**each) for each in messages]
    use = measure_context(variant, asked, max_tokens=max_tokens, is_completion=kind != Kind.CHAT)
    # An estimate refuses nothing: the engine knows better.
    if use.is_exact and use.room == Room.FULL:
        words = {
            "tokens": f"{use.prompt_tokens:,}",
            "model": variant.model_id,
            "most": f"{(use.context_length or 1) - 1:,}",
        }
        if kind != Kind.CHAT:
            sentence = _("This text has %(tokens)s tokens; %(model)s reads at most %(most)s.")
        elif any(each["role"] == "assistant" for each in messages):
            sentence = _(
                "With the turns before it, this prompt has %(tokens)s tokens; %(model)s reads at most %(most)s."
            )
        else:
            sentence = _("This prompt has %(tokens)s tokens; %(model)s reads at most %(most)s.")
        raise ValidationError({"context": [sentence % words]})
    return messages, dropped


def turns_before(
    conversation: Conversation | None,
    system_prompt: str | None,
    parent: Generation | None,
    history: Sequence[Message],
) -> list[dict[str, Any]]:
    """The exact chat that the model reads before the prompt: `history`, or the branch that ends in `parent`."""
    if history:
        return [asdict(message) for message in history]
    turns: list[dict[str, Any]] = []
    if parent is not None:
        # The system prompt may have been changed since.
        turns = parent.messages[1:] if parent.messages[0]["role"] == "system" else list(parent.messages)
        if parent.is_active or (parent.state != State.FAILED and parent.output):
            # Nothing follows an answer under way; measured ahead, it has its place.
            turns.append({"role": "assistant", "content": parent.output})
        else:
            # An answer that never came leaves no gap: two user turns in a row break most chat templates.
            turns.pop()
    if system_prompt is None:
        system_prompt = conversation.system_prompt if conversation is not None else ""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, *turns]
