"""Cards, runs and judgements for the tests of feedback, exports and the API."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.models import Backend, ModelCard, Variant
from portal.feedback.models import Submission
from portal.feedback.services import submit_feedback
from portal.playground.models import Conversation, Generation, State

DIGESTS = {"model.safetensors": "a" * 64}


def make_variant(card_name: str = "smol/lm2", slug: str = "bf16") -> Variant:
    owner_name, card_slug = card_name.split("/")
    card, _ = ModelCard.objects.get_or_create(
        owner_name=owner_name, slug=card_slug, defaults={"title": f"Card of {card_name}"}
    )
    variant, _ = Variant.objects.get_or_create(
        card=card, slug=slug, defaults={"backend": Backend.TRANSFORMERS, "source": "weights/none", "digests": DIGESTS}
    )
    return variant


def make_generation(
    owner: User | uuid.UUID,
    *,
    variant: Variant | None = None,
    prompt: str = "What is a steelyard?",
    output: str = "A balance with two arms.",
    state: State = State.SUCCEEDED,
    **columns: Any,
) -> Generation:
    """A finished run (unless `state` says else) of a person or an anonymous visitor."""
    mine = {"owner": owner} if isinstance(owner, User) else {"visitor": owner}
    conversation = Conversation.objects.create(title=prompt[:80], **mine)
    is_active = state in {State.QUEUED, State.RUNNING}
    if state == State.RUNNING:
        columns |= {"claimed_by": "worker", "lease_expires_at": timezone.now() + timedelta(seconds=60)}
    return Generation.objects.create(
        conversation=conversation,
        variant=variant or make_variant(),
        prompt=prompt,
        messages=[{"role": "user", "content": prompt}],
        params=SamplingParams(seed=7).as_mapping(),
        output="" if is_active else output,
        state=state,
        finish_reason="" if is_active else "stop",
        finished_at=None if is_active else timezone.now(),
        provenance={"weights_sha256": DIGESTS, "dtype": "bfloat16"},
        **columns,
    )


def branch_from(run: Generation, *, output: str) -> Generation:
    """The finished sibling that went on from another first token."""
    return Generation.objects.create(
        conversation=run.conversation,
        variant=run.variant,
        prompt=run.prompt,
        messages=run.messages,
        params=run.params,
        output=output,
        state=State.SUCCEEDED,
        finish_reason="stop",
        finished_at=timezone.now(),
        provenance=run.provenance,
        branched_from=run,
        branch_token=0,
    )


def judge(
    owner: User | uuid.UUID,
    generation: Generation | None = None,
    *,
    created_at: datetime | None = None,
    **answers: Any,
) -> Submission:
    """Submit a judgement (thumb up unless said otherwise), on a new run unless one is given."""
    actor = Actor(user=owner) if isinstance(owner, User) else Actor(visitor=owner)
    submission = submit_feedback(actor, generation or make_generation(owner), {"thumb": "up"} | answers)
    if created_at is not None:
        Submission.objects.filter(pk=submission.pk).update(created_at=created_at)
        submission.created_at = created_at
    return submission
