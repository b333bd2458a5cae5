"""The geometry of the flow chart: what is counted is whole, and stands where it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.reviews.charts import columns


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=5))
def test_ticks_are_whole_numbers_at_their_places(numbers: list[int]) -> None:
    chart = columns([str(each) for each in numbers], [("a", "entered", [(each, "") for each in numbers])])
    ticks = {int(tick.label): tick.at for tick in chart.y_ticks}
    assert len(ticks) == len(chart.y_ticks) <= 6
    top = max(ticks)
    assert min(ticks) == 0
    assert top >= max(numbers)
    for number, at in ticks.items():
        assert chart.base - at == pytest.approx((chart.base - ticks[top]) * number / top, abs=0.11)
    for bar in chart.bars:
        number = int(bar.title.split()[-1])
        assert bar.height == pytest.approx((chart.base - ticks[top]) * number / top, abs=0.11)
