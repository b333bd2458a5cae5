"""Our sampler inside the step of transformers' own continuous batching: every parameter, and every log-probability.

The manager samples one way for all requests. It lets a logits processor see each row before that, with the request it
belongs to; this one chooses, and leaves the row such that the manager can only take what was chosen.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessor

from inference.sampler import Choice, SamplingState, choose, choose_greatest

logger = logging.getLogger(__name__)


class ManagerSampling(ContinuousBatchingLogitsProcessor):
    """`choices` gets each request's key and its next token, or None where the logits are not numbers.

    `expect` and `forget` may be called from any thread, the rest belongs to the manager's.
    """

    supported_kwargs: dict[str, type] = {}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.choices: queue.SimpleQueue[tuple[str, Choice | None]] = queue.SimpleQueue()
        self._states: dict[str, SamplingState] = {}
        self._lock = threading.Lock()
        self._rows: list[str] = []

    def expect(self, key: str, state: SamplingState) -> None:
        """A request that will come by."""
        with self._lock:
            self._states[key] = state

    def forget(self, key: str) -> None:
        """Whatever still comes of the request is not sampled."""
        with self._lock:
            self._states.pop(key, None)

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        """There is nothing to send to the device."""
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: Sequence[Any]) -> Tensor:
        """Note whose rows come next."""
        self._rows = [each.state.request_id for each in requests_with_new_token]
        return torch.zeros(len(self._rows), dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        """Choose for each row, and leave the chosen token alone in it."""
        with self._lock:
            known = [(row, key, self._states[key]) for row, key in enumerate(self._rows) if key in self._states]
        tokens = [0] * len(scores)
        for is_greedy in (True, False):
            asked = [each for each in known if each[2].is_plainly_greedy is is_greedy]
            if not asked:
                continue
            logits = scores[[row for row, _, _ in asked]]
            states = [state for _, _, state in asked]
            # Sampling is written for the processor, and each of its rows goes there, as wide as the vocabulary.
            choices = choose_greatest(logits, states) if is_greedy else choose(logits.float().cpu(), states)
            for (row, key, state), choice in zip(asked, choices, strict=True):
                if choice is not None:
                    state.note(choice.token_id)
                    tokens[row] = choice.token_id
                self.choices.put((key, choice))
        chosen = torch.tensor(tokens, device=scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0)
