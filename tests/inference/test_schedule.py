"""Prompts are read by fair shares, never beyond the step's budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.schedule import FEWEST_BESIDE_STREAMS, MOST_BESIDE_STREAMS, TOKENS_ALONE, ReadingPace, share_prefill


@given(remaining=st.lists(st.integers(1, 3_000), max_size=20), budget=st.integers(1, 600))
def test_the_budget_is_kept_and_used(remaining: list[int], budget: int) -> None:
    shares = share_prefill(remaining, budget=budget)
    assert all(0 <= share <= need for share, need in zip(shares, remaining, strict=True))
    assert sum(shares) == min(budget, sum(remaining))


@given(remaining=st.lists(st.integers(1, 3_000), min_size=1, max_size=20), budget=st.integers(20, 600))
def test_every_reader_advances_and_none_gets_less_than_a_longer_one_unless_done(
    remaining: list[int], budget: int
) -> None:
    shares = share_prefill(remaining, budget=budget)
    assert min(shares) > 0
    for share, need in zip(shares, remaining, strict=True):
        assert share == need or share >= max(shares) - len(remaining)


def test_a_short_prompt_is_read_whole_beside_a_long_one() -> None:
    assert share_prefill([2_000, 10], budget=64) == [54, 10]


def _settled(pace: ReadingPace, *, cost_per_token: float, usual: float) -> float:
    """The length of a step, relative to the usual one, after many steps on a machine with these costs."""
    for _ in range(20):
        pace.note(seconds=usual, tokens_read=0, has_streams=True)
    seconds = 0.0
    for _ in range(60):
        tokens = pace.tokens(streams=4, readers=1)
        seconds = usual + tokens * cost_per_token
        pace.note(seconds=seconds, tokens_read=tokens, has_streams=True)
    return seconds / usual


@given(cost_per_token=st.floats(0.0002, 0.002), usual=st.floats(0.02, 0.04))
def test_reading_slows_streams_by_about_a_factor_of_two(cost_per_token: float, usual: float) -> None:
    assert _settled(ReadingPace(), cost_per_token=cost_per_token, usual=usual) < 2.8


def test_reading_is_never_stopped_and_never_unbounded() -> None:
    slow, fast = ReadingPace(), ReadingPace()
    _settled(slow, cost_per_token=1.0, usual=0.01)
    _settled(fast, cost_per_token=0.0, usual=0.01)
    assert slow.tokens(streams=4, readers=1) == FEWEST_BESIDE_STREAMS
    assert fast.tokens(streams=4, readers=1) == MOST_BESIDE_STREAMS


@given(hiccups=st.lists(st.booleans(), min_size=120, max_size=120), factor=st.floats(3, 40))
def test_a_busy_machines_hiccups_do_not_stop_reading(hiccups: list[bool], factor: float) -> None:
    # Every third step at most is disturbed, as happens beside a web server on the same cores.
    calm, disturbed = ReadingPace(), ReadingPace()
    for number, hiccup in enumerate(hiccups):
        for pace, slower in ((calm, 1.0), (disturbed, factor if hiccup and number % 3 == 0 else 1.0)):
            tokens = 0 if number % 2 else pace.tokens(streams=4, readers=1)
            pace.note(seconds=slower * (0.03 + 0.0005 * tokens), tokens_read=tokens, has_streams=True)
    assert disturbed.tokens(streams=4, readers=1) >= 0.8 * calm.tokens(streams=4, readers=1)


def test_prompts_that_arrive_together_do_not_wait_behind_the_first_of_them() -> None:
    pace = ReadingPace()
    assert pace.tokens(streams=7, readers=1) == pace.tokens(streams=7, readers=7) == pace.first_budget
    assert pace.tokens(streams=1, readers=7) == 7 * pace.first_budget
    assert pace.tokens(streams=1, readers=100) == TOKENS_ALONE


def test_without_streams_reading_takes_large_pieces_and_teaches_nothing() -> None:
    pace = ReadingPace()
    pace.note(seconds=9.0, tokens_read=512, has_streams=False)
    assert pace.tokens(streams=0, readers=3) == TOKENS_ALONE
    assert pace == ReadingPace()
