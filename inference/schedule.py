"""Who advances in a step, and by how much: writers always, readers by fair shares of what is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

TOKENS_ALONE: Final = 512
# Fewer starve readers: at 8, requests that came a little after others waited seconds for their first token while the
# machine was busy with something else. Many more, and a step that reads could take three times as long as one that
# only writes.
FEWEST_BESIDE_STREAMS: Final = 16
MOST_BESIDE_STREAMS: Final = 256
# A step that also reads may take about twice as long as one that only writes: streams stay smooth, and a reader waits
# no longer than it would behind the streams.
LENGTHENED: Final = 2.0
# Medians over so many steps: what else runs on the machine makes single steps ten times as long, and half of these
# would have to be hit before the pace believed it.
STEPS_REMEMBERED: Final = 15
READING_REMEMBERED: Final = 9


# Guesses are rows, and with more writers than these a step has enough of them.
MOST_GUESSING_WRITERS: Final = 4


def guesses_per_writer(writers: int, rows: int) -> int:
    """How many tokens each writer may guess ahead in a step of at most so many rows, in which nobody reads."""
    return max(0, rows // writers - 1) if 0 < writers <= MOST_GUESSING_WRITERS else 0


def _remembering(count: int) -> Callable[[], deque[float]]:
    return lambda: deque(maxlen=count)


@dataclass(slots=True)
class ReadingPace:
    """How many prompt tokens a step may read beside running streams; learns what writing and reading cost.

    The right number depends on the machine, the model, what else runs there, and how far into a prompt the reading is.
    """

    first_budget: int = 48
    writing_s: deque[float] = field(default_factory=_remembering(STEPS_REMEMBERED))
    reading_s_per_token: deque[float] = field(default_factory=_remembering(READING_REMEMBERED))

    def tokens(self, *, streams: int, readers: int) -> int:
        """The next step's budget of prompt tokens.

        More readers than streams get more in proportion: else the first of many prompts that arrive together would,
        once it is a stream, hold up all the others.
        """
        if not streams:
            return TOKENS_ALONE
        return min(TOKENS_ALONE, int(self._beside_streams() * max(1.0, readers / streams)))

    def _beside_streams(self) -> int:
        if not self.writing_s or not self.reading_s_per_token:
            return self.first_budget
        room_s = (LENGTHENED - 1) * median(self.writing_s)
        most = room_s / max(median(self.reading_s_per_token), room_s / MOST_BESIDE_STREAMS, 1e-12)
        return max(FEWEST_BESIDE_STREAMS, int(most))

    def note(self, *, seconds: float, tokens_read: int, has_streams: bool) -> None:
        """Learn from a step that took `seconds` and read `tokens_read` prompt tokens beside streams or alone."""
        if not has_streams:
            return
        if tokens_read == 0:
            self.writing_s.append(seconds)
        elif self.writing_s:
            # A step that ends up shorter than a usual one says that reading costs nothing, not less than that.
            self.reading_s_per_token.append(max(0.0, seconds - median(self.writing_s)) / tokens_read)


def up_to_border(computed: int, share: int) -> int:
    """How much of its share a reader reads: pieces end where they do for one that is alone and begins at nothing.

    What comes out behind the invariant positions depends on where pieces end, in its last digits.
    """
    return min(share, TOKENS_ALONE - computed % TOKENS_ALONE)


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
