"""A share with its interval: never a bare percentage."""

from __future__ import annotations

from dataclasses import dataclass

from portal.arena.proportions import wilson_interval


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, with Wilson's 95 % interval; all three in percent, None where there is nothing to share."""

    part: int
    whole: int

    @property
    def percent(self) -> float | None:
        return 100 * self.part / self.whole if self.whole else None

    @property
    def low(self) -> float | None:
        return self._edge(0)

    @property
    def high(self) -> float | None:
        return self._edge(1)

    def _edge(self, end: int) -> float | None:
        return 100 * wilson_interval(self.part, self.whole)[end] if self.whole else None
