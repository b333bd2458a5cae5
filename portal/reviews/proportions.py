"""A share with its interval: never a bare percentage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Z: Final = 1.959963984540054


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
        return self._edge(-1)

    @property
    def high(self) -> float | None:
        return self._edge(+1)

    def _edge(self, sign: int) -> float | None:
        if not self.whole:
            return None
        share, count = self.part / self.whole, self.whole
        middle = share + Z * Z / (2 * count)
        spread = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
        return min(100.0, max(0.0, 100 * (middle + sign * spread) / (1 + Z * Z / count)))
