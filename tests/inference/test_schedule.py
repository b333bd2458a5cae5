"""Prompts are read by fair shares, never beyond the step's budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.schedule import TOKENS_ALONE, TOKENS_BESIDE_STREAMS, share_prefill

needs = st.lists(st.integers(1, 3_000), max_size=20)


@given(remaining=needs, has_streams=st.booleans())
def test_the_budget_is_kept_and_used(remaining: list[int], has_streams: bool) -> None:
    budget = TOKENS_BESIDE_STREAMS if has_streams else TOKENS_ALONE
    shares = share_prefill(remaining, has_streams=has_streams)
    assert all(0 <= share <= need for share, need in zip(shares, remaining, strict=True))
    assert sum(shares) == min(budget, sum(remaining))


@given(remaining=st.lists(st.integers(1, 3_000), min_size=1, max_size=20), has_streams=st.booleans())
def test_every_reader_advances_and_none_gets_less_than_a_longer_one_unless_done(
    remaining: list[int], has_streams: bool
) -> None:
    shares = share_prefill(remaining, has_streams=has_streams)
    assert min(shares) > 0
    for share, need in zip(shares, remaining, strict=True):
        assert share == need or share >= max(shares) - len(remaining)


def test_a_short_prompt_is_read_whole_beside_a_long_one() -> None:
    assert share_prefill([2_000, 10], has_streams=True) == [TOKENS_BESIDE_STREAMS - 10, 10]
