"""What a variant is sampled with when nobody says otherwise: its card's defaults within this installation's limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.conf import settings

from inference.sampling_params import MAX_NEW_TOKENS, SamplingParams
from portal.catalog.models import Backend, Variant

# Local weights tell alternatives at next to no cost, and without them nobody can look inside a run.
LOCAL_TOP_LOGPROBS: Final = 5


def max_tokens_allowed() -> int:
    return min(int(settings.MAX_OUTPUT_TOKENS), MAX_NEW_TOKENS)


def default_parameters(variant: Variant) -> dict[str, Any]:
    """The variant's defaults as one complete set, within this installation's limits."""
    chosen = {"top_logprobs": LOCAL_TOP_LOGPROBS} if variant.backend == Backend.TRANSFORMERS else {}
    defaults = SamplingParams.from_mapping(chosen | variant.defaults)
    return replace(defaults, max_tokens=min(defaults.max_tokens, max_tokens_allowed())).as_mapping()
