"""Who advances in a step, and by how much: writers always, readers by fair shares of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# A running stream must not stall while prompts are read: about as much work as the step of a full batch.
TOKENS_BESIDE_STREAMS: Final = 64
TOKENS_ALONE: Final = 512


def share_prefill(remaining: Sequence[int], *, has_streams: bool) -> list[int]:
    """How many prompt tokens each reader may read in this step, in the order given.

    Equal shares; what a short prompt leaves over goes to the longer ones, so that a short prompt is never held up by
    a long one and the whole budget is used. With more readers than budget, the first ones get one token each.
    """
    budget = TOKENS_BESIDE_STREAMS if has_streams else TOKENS_ALONE
    shares = [0] * len(remaining)
    by_need = sorted(range(len(remaining)), key=lambda index: remaining[index])
    for done, index in enumerate(by_need):
        waiting = len(by_need) - done
        share = min(remaining[index], max(1, budget // waiting), budget)
        shares[index] = share
        budget -= share
    return shares
