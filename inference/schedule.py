"""Who advances in a step, and by how much: writers always, readers by fair shares of what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TOKENS_ALONE: Final = 512
# Fewer starve readers: at 8, requests that came a little after others waited seconds for their first token while the
# machine was busy with something else. Many more, and a step that reads could take three times as long as one that
# only writes.
FEWEST_BESIDE_STREAMS: Final = 16
MOST_BESIDE_STREAMS: Final = 256
# A step that also reads may take about twice as long as one that only writes: streams stay smooth, and a reader waits
# no longer than it would behind the streams.
SLOW: Final = 2.2
FAST: Final = 1.8


@dataclass(slots=True)
class ReadingPace:
    """How many prompt tokens a step may read beside running streams; learns from how long steps take.

    The right number depends on the machine, the model, what else runs there, and how far into a prompt the reading is.
    """

    budget: float = 48.0
    usual_s: float | None = None

    def tokens(self, *, has_streams: bool) -> int:
        """The next step's budget of prompt tokens."""
        return int(self.budget) if has_streams else TOKENS_ALONE

    def note(self, *, seconds: float, tokens_read: int, has_streams: bool) -> None:
        """Learn from a step that took `seconds` and read `tokens_read` prompt tokens beside streams or alone."""
        if not has_streams:
            return
        if tokens_read == 0:
            # One hiccup of the machine must not pass for the usual.
            self.usual_s = (
                seconds if self.usual_s is None else 0.9 * self.usual_s + 0.1 * min(seconds, 2 * self.usual_s)
            )
        elif self.usual_s is not None:
            if seconds > SLOW * self.usual_s:
                self.budget = max(FEWEST_BESIDE_STREAMS, self.budget * 0.85)
            elif seconds < FAST * self.usual_s and tokens_read >= int(self.budget):
                self.budget = min(MOST_BESIDE_STREAMS, self.budget * 1.2 + 1)


def share_prefill(remaining: Sequence[int], *, budget: int) -> list[int]:
    """How many prompt tokens each reader may read in this step, in the order given.

    Equal shares; what a short prompt leaves over goes to the longer ones, so that a short prompt is never held up by
    a long one and the whole budget is used. With more readers than budget, some get none this time.
    """
    shares = [0] * len(remaining)
    by_need = sorted(range(len(remaining)), key=lambda index: remaining[index])
    for done, index in enumerate(by_need):
        waiting = len(by_need) - done
        share = min(remaining[index], max(1, budget // waiting), budget)
        shares[index] = share
        budget -= share
    return shares
