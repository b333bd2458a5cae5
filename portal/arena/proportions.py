"""The interval of a share, for whatever is counted anywhere in the portal. Pure."""

from __future__ import annotations

import math
from typing import Final

# The 97.5th percentile of the normal distribution: intervals of 95 %.
NORMAL_QUANTILE: Final = 1.959963984540054


def wilson_interval(hits: float, trials: int) -> tuple[float, float]:
    """The Wilson score interval (95 %) of `hits` of `trials`; (0, 1) says that nothing is known."""
    if trials == 0:
        return 0.0, 1.0
    squared = NORMAL_QUANTILE**2
    share = hits / trials
    centre = share + squared / (2 * trials)
    spread = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / trials + squared / (4 * trials**2))
    scale = 1 + squared / trials
    # At the ends it is exact, whatever the rounding says.
    low = 0.0 if hits == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if hits == trials else min(1.0, (centre + spread) / scale)
    return low, high
