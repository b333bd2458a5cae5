"""Cards, conversations and turns for the tests of the playground's pages."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.models import Backend, CardRevision, ModelCard, Variant
from portal.playground.models import ACTIVE_STATES, Conversation, Generation, State

DEFAULTS = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 256}


def make_variant(card_name: str = "smol/lm2", slug: str = "bf16", *, widget: Any = None, **columns: Any) -> Variant:
    owner_name, card_slug = card_name.split("/")
    card, is_new = ModelCard.objects.get_or_create(
        owner_name=owner_name, slug=card_slug, defaults={"title": f"Card of {card_name}"}
    )
    if is_new:
        metadata = {"widget": widget} if widget is not None else {}
        card.current_revision = CardRevision.objects.create(card=card, number=1, text="", metadata=metadata, sha256="0")
        card.save()
    columns = {"backend": Backend.TRANSFORMERS, "source": "weights/none", "defaults": DEFAULTS} | columns
    return Variant.objects.create(card=card, slug=slug, **columns)


def actor_of(owner: User | uuid.UUID) -> Actor:
    return Actor(user=owner) if isinstance(owner, User) else Actor(visitor=owner)


def make_conversation(owner: User | uuid.UUID, title: str = "On balances", **columns: Any) -> Conversation:
    return Conversation.objects.create(title=title, **actor_of(owner).ownership(), **columns)


def add_turn(
    conversation: Conversation,
    variant: Variant,
    parent: Generation | None = None,
    *,
    prompt: str = "What is a steelyard?",
    output: str = "A balance with two arms.",
    state: State = State.SUCCEEDED,
    **columns: Any,
) -> Generation:
    """A turn behind `parent`: finished, unless `state` says else."""
    is_active = state in ACTIVE_STATES
    if state == State.RUNNING:
        columns = {"claimed_by": "w1", "lease_expires_at": timezone.now() + timedelta(seconds=60)} | columns
    columns = {
        "params": SamplingParams(**DEFAULTS, seed=7).as_mapping(),
        "output": "" if is_active else output,
        "finish_reason": "" if is_active or state == State.FAILED else "stop",
        "finished_at": None if is_active else timezone.now(),
    } | columns
    messages = [*(parent.messages if parent else []), {"role": "user", "content": prompt}]
    return Generation.objects.create(
        conversation=conversation,
        parent=parent,
        variant=variant,
        prompt=prompt,
        messages=messages,
        state=state,
        **columns,
    )


def prompt_form(variant: Variant, /, **fields: Any) -> dict[str, Any]:
    """What a browser sends for a new conversation."""
    return {
        "request_key": str(uuid.uuid4()),
        "prompt": "What is a steelyard?",
        "variant": variant.model_id,
        "system_prompt": "",
        "temperature": "0.7",
        "top_p": "0.95",
        "max_tokens": "64",
        "seed": "",
    } | fields
