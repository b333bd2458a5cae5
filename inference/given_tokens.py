"""Tokens that are given rather than chosen: what the model makes of them, a few rows of logits at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from inference.sampler import Choice

# Logits are as wide as the vocabulary: so many rows in one step bound their memory.
MEASURED_ROWS: Final = 32


def measure(logits: Tensor, token_ids: Sequence[int], top_logprobs: int) -> list[Choice | None]:
    """Each token as if it had been chosen from its row of `(tokens, vocabulary)` logits; None where they are NaN."""
    raw = logits.float()
    totals = torch.logsumexp(raw, dim=-1)
    logprobs = raw.gather(1, torch.tensor(token_ids)[:, None])[:, 0] - totals
    valid = torch.isfinite(totals) & torch.isfinite(logprobs)
    tops: list[tuple[tuple[int, float], ...]] = [()] * len(logprobs)
    if top_logprobs:
        values, ids = torch.topk(raw, min(top_logprobs, raw.shape[-1]), dim=-1)
        rows = zip(ids.tolist(), (values - totals[:, None]).tolist(), strict=True)
        tops = [tuple(zip(row_ids, row_values, strict=True)) for row_ids, row_values in rows]
    return [
        Choice(token_id, logprob, top) if is_valid else None
        for token_id, logprob, top, is_valid in zip(token_ids, logprobs.tolist(), tops, valid.tolist(), strict=True)
    ]
