"""A step that fails is repeated request by request, so that only those fail that cannot run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from inference.batch_forward import BatchForward
from inference.engine_thread import INTERNAL_MESSAGE
from inference.events import Failed, FailureCode
from inference.step_plan import Span

logger = logging.getLogger(__name__)

OUT_OF_MEMORY_MESSAGE = "There was not enough memory to compute this answer. A shorter prompt may work."


def isolated_logits(forward: BatchForward, spans: Sequence[Span]) -> tuple[Tensor, dict[int, Failed]]:
    """The logits of all spans, and the failures by index; a failed span's rows are undefined.

    Spans do not see each other, and computing one twice writes the same keys twice, so repeating is safe.
    """
    try:
        return forward.logits(spans), {}
    except Exception:
        logger.exception("A step of %d requests failed; repeating them one by one.", len(spans))
    rows: dict[int, Tensor] = {}
    failures: dict[int, Failed] = {}
    for index, span in enumerate(spans):
        try:
            rows[index] = forward.logits([span])
        except Exception as error:
            logger.warning("A request cannot be computed.", exc_info=True)
            failures[index] = failure_of(error)
    if not rows:
        return torch.empty(0), failures
    example = next(iter(rows.values()))
    for index in failures:
        rows[index] = example.new_zeros((spans[index].wanted, example.shape[1]))
    return torch.cat([rows[index] for index in range(len(spans))]), failures


def failure_of(error: Exception) -> Failed:
    """What to tell the person whose request met this error."""
    # torch on CPU says "not enough memory" or "DefaultCPUAllocator: can't allocate memory" in a plain RuntimeError.
    words = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "memory" in words:
        return Failed(FailureCode.OUT_OF_MEMORY, OUT_OF_MEMORY_MESSAGE)
    return Failed(FailureCode.INTERNAL, INTERNAL_MESSAGE)
