"""Chooses the next token of every request of a batch at once, each by its own parameters and its own random numbers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from inference.sampling_params import SamplingParams

# Sorting a whole vocabulary is the dearest part of sampling; nearly always so many of the best tokens suffice.
CANDIDATES: Final = 128


@dataclass(frozen=True, slots=True)
class Choice:
    """A token and its log-probability in the raw distribution; None where nothing precedes it."""

    token_id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


class SamplingState:
    """What one request's choices depend on besides the logits."""

    def __init__(self, params: SamplingParams, prompt_ids: Sequence[int], end_ids: Sequence[int]) -> None:
        self.params = params
        self.random = random.Random(params.seed)  # noqa: S311 - repeatable on purpose
        self._end_ids = tuple(end_ids)
        self._output = Counter[int]()
        self._length = 0
        self._seen = set(prompt_ids) if params.repetition_penalty != 1 else set()
        has_penalty = params.presence_penalty != 0 or params.frequency_penalty != 0 or params.repetition_penalty != 1
        self._always_adjusts = has_penalty or bool(params.logit_bias)

    def note(self, token_id: int) -> None:
        """The token is part of the output now."""
        self._length += 1
        if self._always_adjusts:
            self._output[token_id] += 1
            self._seen.add(token_id)

    def note_given(self, token_id: int) -> None:
        """The output begins with this token, which was not chosen here: as after choosing it, and not counted."""
        if self._always_adjusts:
            self._output[token_id] += 1
            self._seen.add(token_id)
        self.random.random()

    @property
    def adjusts(self) -> bool:
        """Whether the logits must be changed before choosing."""
        return self._always_adjusts or self._length < self.params.min_tokens

    def adjust(self, logits: Tensor) -> None:
        """Apply bias, penalties and the minimum length to one row in place."""
        params = self.params
        if params.logit_bias:
            logits[list(params.logit_bias)] += torch.tensor(list(params.logit_bias.values()), dtype=logits.dtype)
        if params.repetition_penalty != 1 and self._seen:
            seen = list(self._seen)
            values = logits[seen]
            factor = params.repetition_penalty
            logits[seen] = torch.where(values < 0, values * factor, values / factor)
        if self._output and (params.presence_penalty or params.frequency_penalty):
            counts = torch.tensor(list(self._output.values()), dtype=logits.dtype)
            logits[list(self._output)] -= params.presence_penalty + params.frequency_penalty * counts
        if self._length < params.min_tokens and self._end_ids:
            logits[list(self._end_ids)] = -math.inf


def choose(logits: Tensor, states: Sequence[SamplingState]) -> list[Choice | None]:
    """One choice per row of `(rows, vocabulary)` logits; None where the logits are not numbers."""
    raw = logits.float()
    totals = torch.logsumexp(raw, dim=-1)
    adjusted = _adjusted(raw, states)
    # Over a whole vocabulary, max takes half as long as argmax.
    tokens = adjusted.max(dim=-1).indices
    drawn = [index for index, state in enumerate(states) if state.params.temperature > 0]
    if drawn:
        chosen_states = [states[index] for index in drawn]
        tokens[drawn] = _draw(adjusted if len(drawn) == len(states) else adjusted[drawn], chosen_states)
    logprobs = raw.gather(1, tokens[:, None])[:, 0] - totals
    tops = _tops(raw, totals, states)
    valid = torch.isfinite(totals) & torch.isfinite(logprobs)
    rows = zip(tokens.tolist(), logprobs.tolist(), tops, valid.tolist(), strict=True)
    return [Choice(token, logprob, top) if is_valid else None for token, logprob, top, is_valid in rows]


def _adjusted(raw: Tensor, states: Sequence[SamplingState]) -> Tensor:
    if not any(state.adjusts for state in states):
        return raw
    adjusted = raw.clone()
    for row, state in zip(adjusted, states, strict=True):
        if state.adjusts:
            state.adjust(row)
    return adjusted


def _tops(raw: Tensor, totals: Tensor, states: Sequence[SamplingState]) -> list[tuple[tuple[int, float], ...]]:
    tops: list[tuple[tuple[int, float], ...]] = [()] * len(states)
    asked = [index for index, state in enumerate(states) if state.params.top_logprobs > 0]
    if asked:
        most = min(max(states[index].params.top_logprobs for index in asked), raw.shape[-1])
        values, ids = torch.topk(raw[asked], most, dim=-1)
        values = values - totals[asked][:, None]
        for index, row_ids, row_values in zip(asked, ids.tolist(), values.tolist(), strict=True):
            pairs = list(zip(row_ids, row_values, strict=True))
            tops[index] = tuple(pairs[: states[index].params.top_logprobs])
    return tops


def _draw(logits: Tensor, states: Sequence[SamplingState]) -> Tensor:
    """Sample each row by inverting its distribution function at the request's own random number."""
    temperatures = torch.tensor([state.params.temperature for state in states])
    scaled = logits / temperatures[:, None]
    points = torch.tensor([state.random.random() for state in states], dtype=torch.float64)
    tokens = torch.empty(len(states), dtype=torch.int64)
    filtered = [index for index, state in enumerate(states) if _filters(state.params)]
    plain = [index for index, state in enumerate(states) if not _filters(state.params)]
    if plain:
        tokens[plain] = _invert(torch.softmax(scaled[plain], dim=-1), points[plain])
    width = CANDIDATES
    while filtered:
        params = [states[index].params for index in filtered]
        chosen, is_certain = _draw_filtered(scaled[filtered], params, points[filtered], width)
        tokens[filtered] = chosen
        filtered = [index for index, certain in zip(filtered, is_certain, strict=True) if not certain]
        width = logits.shape[-1]
    return tokens


def _filters(params: SamplingParams) -> bool:
    return params.top_k > 0 or params.top_p < 1 or params.min_p > 0


def _draw_filtered(
    scaled: Tensor, params: Sequence[SamplingParams], points: Tensor, width: int
) -> tuple[Tensor, list[bool]]:
    """Choose among the `width` best tokens; false where a filter would have kept more than those."""
    width = min(width, scaled.shape[-1])
    values, ids = torch.topk(scaled, width, dim=-1)
    top_k = torch.tensor([each.top_k or scaled.shape[-1] for each in params])[:, None]
    top_p = torch.tensor([each.top_p for each in params], dtype=torch.float64)[:, None]
    min_p = torch.tensor([each.min_p for each in params], dtype=torch.float64)[:, None]
    rank = torch.arange(width)
    kept = rank < top_k
    # A token cut by top-k has no part in the mass that top-p counts.
    inside = values.masked_fill(~kept, -math.inf)
    cuts_by_rank = top_k <= width
    totals = torch.where(cuts_by_rank[:, 0], torch.logsumexp(inside, dim=-1), torch.logsumexp(scaled, dim=-1))
    probabilities = (inside - totals[:, None]).double().exp()
    before = probabilities.cumsum(dim=-1) - probabilities
    kept &= (before < top_p) & (probabilities >= min_p * probabilities[:, :1])
    kept[:, 0] = True
    is_whole = torch.tensor(width == scaled.shape[-1])
    is_certain = is_whole | cuts_by_rank | (~kept[:, -1:] & (top_k >= scaled.shape[-1]))
    picked = _invert(probabilities * kept, points)
    return ids.gather(1, picked[:, None])[:, 0], is_certain[:, 0].tolist()


def _invert(weights: Tensor, points: Tensor) -> Tensor:
    """The first index of each row where the running sum of the weights exceeds `point` times their total."""
    sums = weights.cumsum(dim=-1, dtype=torch.float64)
    targets = points[:, None] * sums[:, -1:]
    return torch.searchsorted(sums, targets, right=True)[:, 0].clamp_(max=weights.shape[-1] - 1)
