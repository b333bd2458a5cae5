"""Chooses the next token of every request of a batch at once, each by its own parameters and its own random numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.native_code import stored
from inference.sampling_kernel import NO_TOKEN, choose_rows
from inference.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class Choice:
    """A token and its log-probability in the raw distribution; None where nothing precedes it."""

    token_id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


LEAST_FACTOR: Final = 1e-30


class _TokenCounts:
    """Different tokens and how often each occurred, as arrays that grow."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._ids, self._counts = np.empty(64, np.int64), np.zeros(64, np.float32)

    def add(self, token_id: int) -> None:
        at = self._at.setdefault(token_id, len(self._at))
        if at == len(self._ids):
            self._ids = np.concatenate((self._ids, np.empty_like(self._ids)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._ids[at] = token_id
        self._counts[at] += 1

    @property
    def ids(self) -> NDArray[np.int64]:
        return self._ids[: len(self._at)]

    @property
    def counts(self) -> NDArray[np.float32]:
        return self._counts[: len(self._at)]


class SamplingState:
    """What one request's choices depend on besides the logits."""

    def __init__(self, params: SamplingParams, prompt_ids: Sequence[int], end_ids: Sequence[int]) -> None:
        self.params = params
        self.random = random.Random(params.seed)  # noqa: S311 - repeatable on purpose
        self._end_ids = list(end_ids)
        self._biased = list(params.logit_bias)
        self._biases = np.array(list(params.logit_bias.values()), np.float32)
        self._length = 0
        self._counts_output = params.presence_penalty != 0 or params.frequency_penalty != 0
        self._output = _TokenCounts()
        self._penalises_seen = params.repetition_penalty != 1
        self._seen = _TokenCounts()
        if self._penalises_seen:
            for token_id in prompt_ids:
                self._seen.add(token_id)

    def note(self, token_id: int) -> None:
        """The token is part of the output now."""
        self._length += 1
        self._count(token_id)

    def note_given(self, token_id: int) -> None:
        """The output begins with this token, which was not chosen here: as after choosing it, and not counted."""
        self._count(token_id)
        self.random.random()

    def _count(self, token_id: int) -> None:
        if self._counts_output:
            self._output.add(token_id)
        if self._penalises_seen:
            self._seen.add(token_id)

    @property
    def penalises(self) -> bool:
        """Whether some tokens are made more or less probable than the model says."""
        return self._counts_output or self._penalises_seen or bool(self._biased)

    @property
    def is_plainly_greedy(self) -> bool:
        """Whether the greatest logit decides, and nothing but its probability is told."""
        return self.params.temperature == 0 and not self.penalises and self.params.top_logprobs == 0

    @property
    def forbidden_ids(self) -> Sequence[int]:
        """What must not be chosen now: the ends, until the output has its least length."""
        return self._end_ids if self._length < self.params.min_tokens else ()

    @property
    def adjusts(self) -> bool:
        """Whether the logits must be changed before choosing."""
        return self.penalises or self._length < self.params.min_tokens

    def adjust(self, logits: Tensor) -> None:
        """Apply bias, penalties and the minimum length to one row of float32 in place."""
        params, row = self.params, logits.numpy()
        if self._biased:
            row[self._biased] += self._biases
        if self._penalises_seen:
            # Less would make of a logit a number that is none.
            ids, factor = self._seen.ids, np.float32(max(params.repetition_penalty, LEAST_FACTOR))
            values = row[ids]
            row[ids] = np.where(values < 0, values * factor, values / factor)
        if self._counts_output:
            penalties = params.presence_penalty + np.float32(params.frequency_penalty) * self._output.counts
            row[self._output.ids] -= penalties
        if self.forbidden_ids:
            row[self.forbidden_ids] = -np.inf


def choose(logits: Tensor, states: Sequence[SamplingState]) -> list[Choice | None]:
    """One choice per row of `(rows, vocabulary)` logits; None where the logits are not numbers."""
    count = len(states)
    adjusted_at, adjusted = _adjusted(logits, states)
    params = [state.params for state in states]
    # A row that takes the greatest number needs no random one.
    points = [state.random.random() if state.params.temperature > 0 else 0.0 for state in states]
    tokens, logprobs, totals = np.empty(count, np.int64), np.empty(count), np.empty(count)
    choose_rows(
        stored(logits),
        adjusted,
        adjusted_at,
        np.array([each.temperature for each in params], np.float64),
        np.array([each.top_k for each in params], np.int64),
        np.array([each.top_p for each in params], np.float64),
        np.array([each.min_p for each in params], np.float64),
        np.array(points),
        *(tokens, logprobs, totals),
    )
    tops = _tops(logits, totals, params)
    rows = zip(tokens.tolist(), logprobs.tolist(), tops, strict=True)
    return [Choice(token, logprob, top) if token != NO_TOKEN else None for token, logprob, top in rows]


def choose_greatest(logits: Tensor, states: Sequence[SamplingState]) -> list[Choice | None]:
    """`choose` for plainly greedy rows, on the logits' own device; little more than the choices leaves it."""
    raw = logits.float()
    totals = raw.logsumexp(dim=-1)
    open_to = raw
    forbidden = [(row, token_id) for row, state in enumerate(states) for token_id in state.forbidden_ids]
    if forbidden:
        rows, token_ids = torch.tensor(forbidden).T.to(raw.device)
        open_to = raw.index_put((rows, token_ids), raw.new_tensor(-torch.inf))
    tokens = open_to.argmax(dim=-1)
    logprobs = raw.gather(1, tokens[:, None])[:, 0] - totals
    # One copy out of the device; a double holds every token's id exactly.
    told = torch.stack((tokens.double(), logprobs.double())).tolist()
    return [
        Choice(int(token), logprob) if math.isfinite(logprob) else None for token, logprob in zip(*told, strict=True)
    ]


def compile_choosing(dtype: torch.dtype) -> None:
    """Make what `choose` needs for logits of the dtype, which takes seconds once, before somebody waits for it."""
    choose(torch.zeros((1, 1), dtype=dtype), [SamplingState(SamplingParams(), (), ())])


def _adjusted(logits: Tensor, states: Sequence[SamplingState]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which row of the second array each row is chosen from instead; -1 for its own, of rows that ask for nothing."""
    at = np.full(len(states), -1, np.int64)
    asking = [index for index, state in enumerate(states) if state.adjusts]
    at[asking] = range(len(asking))
    # Rows are as wide as the vocabulary: copied once, as what can be changed.
    rows = (logits if len(asking) == len(states) else logits[asking]).to(torch.float32, copy=True)
    for row, index in zip(rows, asking, strict=True):
        states[index].adjust(row)
    return at, rows.numpy()


def _tops(
    logits: Tensor, totals: NDArray[np.float64], params: Sequence[SamplingParams]
) -> list[tuple[tuple[int, float], ...]]:
    tops: list[tuple[tuple[int, float], ...]] = [()] * len(params)
    asked = [index for index, each in enumerate(params) if each.top_logprobs > 0]
    if asked:
        most = min(max(params[index].top_logprobs for index in asked), logits.shape[-1])
        values, ids = torch.topk(logits[asked].float(), most, dim=-1)
        for index, row_ids, row_values in zip(asked, ids.tolist(), values.tolist(), strict=True):
            total = float(totals[index])  # numpy's own kind of number is none that a stream can carry
            pairs = [(token, value - total) for token, value in zip(row_ids, row_values, strict=True)]
            tops[index] = tuple(pairs[: params[index].top_logprobs])
    return tops
