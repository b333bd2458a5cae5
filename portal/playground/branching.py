"""Go on from another token: a sibling that begins with an answer's own tokens and one other choice."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.playground.models import Generation, Kind
from portal.playground.queries import trace_tokens
from portal.playground.services import Origin, start_generation


def continue_from_token(
    actor: Actor, generation: Generation, *, token: int, alternative: int, request_key: uuid.UUID | None = None
) -> Generation:
    """Start the sibling of `generation` that has its tokens before number `token` (from 0) and there the trace's
    alternative with this index. Everything else stays: messages, parameters, seed.

    Raises ValidationError naming `token` or `alternative`, and as `start_generation` does.
    """
    tokens = trace_tokens(generation)
    if generation.is_active or generation.kind == Kind.SCORE or not 0 <= token < len(tokens):
        raise ValidationError({"token": [_("This run has no such token to go on from.")]})
    top: list[dict[str, Any]] = tokens[token].get("top") or []
    if not 0 <= alternative < len(top):
        raise ValidationError({"alternative": [_("This token has no such alternative.")]})
    opening = [{"id": each["id"], "text": each["text"]} for each in [*tokens[:token], top[alternative]]]
    return start_generation(
        actor,
        variant=generation.variant,
        prompt=generation.prompt,
        params=SamplingParams.from_mapping(generation.params),
        conversation=generation.conversation,
        parent=generation.parent,
        request_key=request_key,
        kind=Kind(generation.kind),
        origin=Origin(branched_from=generation, branch_token=token, opening=tuple(opening)),
    )
