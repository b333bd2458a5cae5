"""Two blind answers at one pace: nothing lost, nothing twice, and no sign of who is quicker."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.arena.lockstep import SLOWEST_PACE, Lockstep, Mark, Piece


def shown(pieces: list[Piece]) -> dict[str, str]:
    texts = {"a": "", "b": ""}
    for piece in pieces:
        if piece.kind == "reset":
            texts[piece.side] = ""
        texts[piece.side] += piece.text
    return texts


def test_neither_side_is_ahead_while_both_are_written() -> None:
    both = Lockstep()
    both.begin(0, 1)
    both.begin(1, 1)
    both.write(0, "quick as a flash")
    assert both.release(0.0) == []
    both.write(1, "slow")
    assert shown(both.release(0.1)) == {"a": "quic", "b": "slow"}
    both.end(0)
    assert both.release(0.2) == []


def test_both_are_reading_once_both_have_begun_and_until_something_is_shown() -> None:
    both = Lockstep()
    assert not both.is_reading
    both.begin(0, 1)
    both.write(0, "quick")
    assert not both.is_reading, "of one alone nothing is said"
    both.begin(1, 1)
    assert both.is_reading
    both.write(1, "slow")
    both.release(0.0)
    assert not both.is_reading
    assert not Lockstep(Mark(((1, 3), (1, 3)))).is_reading


def test_what_has_piled_up_behind_a_short_answer_does_not_burst_out() -> None:
    both = Lockstep()
    both.write(0, "x" * 1000)
    both.write(1, "y" * 10)
    both.release(0.0)
    both.end(1)
    both.end(0)
    assert both.release(0.0)[-1] == Piece("b", "end")
    pieces = both.release(1.0)
    assert len(pieces[0].text) == SLOWEST_PACE
    assert both.has_more
    assert not both.is_over
    assert [piece.kind for piece in both.release(100.0)] == ["text", "end"]
    assert both.is_over


def test_a_stopped_battle_shows_all_there_is() -> None:
    both = Lockstep()
    both.write(0, "x" * 500)
    both.end(0, flush=True)
    both.end(1, flush=True)
    assert shown(both.release(0.0)) == {"a": "x" * 500, "b": ""}
    assert both.is_over


def test_an_attempt_that_was_lost_is_taken_back() -> None:
    both = Lockstep()
    for side in (0, 1):
        both.begin(side, 1)
        both.write(side, "first")
    pieces = both.release(0.0)
    both.begin(0, 2)
    both.write(0, "second")
    pieces += both.release(0.1)
    assert shown(pieces) == {"a": "secon", "b": "first"}


def test_an_id_that_is_none_is_refused() -> None:
    assert Mark.parse("1.20-2.0") == Mark(((1, 20), (2, 0)))
    assert str(Mark.parse("1.20-2.0")) == "1.20-2.0"
    for text in ("", "1-2", "1.2-3", "a.b-c.d", "1.2-3.4-"):
        with pytest.raises(ValueError, match="Last-Event-ID"):
            Mark.parse(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.text(min_size=1, max_size=8)), max_size=30), st.integers(0, 30))
def test_who_loses_the_connection_misses_nothing_and_sees_nothing_twice(
    writes: list[tuple[int, str]], cut: int
) -> None:
    whole = {0: "", 1: ""}
    first = Lockstep()
    pieces: list[Piece] = []
    for number, (side, text) in enumerate(writes):
        whole[side] += text
        first.begin(side, 1)
        first.write(side, text)
        if number < cut:
            pieces += first.release(number / 10)
    mark = Mark.parse(str(first.mark))
    again = Lockstep(mark)
    for side in (0, 1):
        again.begin(side, 1)
        again.write(side, whole[side])
        again.end(side)
    pieces += again.release(0.0)
    pieces += again.release(1000.0)
    assert shown(pieces) == {"a": whole[0], "b": whole[1]}
    assert again.is_over


def test_who_claims_to_have_seen_much_does_not_hear_which_side_is_quicker() -> None:
    both = Lockstep(seen=Mark(((1, 10**9), (1, 10**9))))
    both.write(0, "a" * 500)
    both.write(1, "abc")
    both.end(0)
    assert [piece.kind for piece in both.release(0.0)] == []
