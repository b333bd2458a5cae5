"""What judgements say to a trainer: the documented mapping, case by case and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.exports.preferences import (
    Completion,
    Origin,
    Verdict,
    labelled_by_answers,
    labelled_by_vote,
    pairs_by_answers,
    pairs_by_vote,
    pairs_of_siblings,
)
from portal.exports.records import GivenAnswer

A, B = Completion("left", "smol/lm2:a"), Completion("right", "smol/lm2:b")
completions = st.builds(Completion, st.sampled_from(["", "one", "two"]), st.sampled_from(["a", "b"]))


def said(**answers: str) -> dict[str, GivenAnswer]:
    return {kind: GivenAnswer(kind, value) for kind, value in answers.items()}


@pytest.mark.parametrize(("thumb", "is_desirable"), [("up", True), ("down", False)])
def test_a_thumb_labels_the_answer_and_makes_no_pair(thumb: str, is_desirable: bool) -> None:
    (labelled,) = labelled_by_answers(A, said(thumb=thumb))
    assert (labelled.completion, labelled.is_desirable, labelled.origin) == (A, is_desirable, Origin.THUMB)
    assert list(pairs_by_answers(A, said(thumb=thumb))) == []


def test_a_correction_is_preferred_to_the_answer_whatever_the_thumb_says() -> None:
    answers = said(thumb="up", correction="Better.")
    assert [(each.completion.text, each.is_desirable) for each in labelled_by_answers(A, answers)] == [
        ("Better.", True),
        ("left", False),
    ]
    (pair,) = pairs_by_answers(A, answers)
    assert (pair.chosen, pair.rejected) == (Completion("Better."), A)


@pytest.mark.parametrize("correction", ["left", " left\n", "", "  "])
def test_a_correction_that_changes_nothing_is_none(correction: str) -> None:
    assert list(pairs_by_answers(A, said(correction=correction))) == []
    assert list(labelled_by_answers(A, said(correction=correction))) == []


def test_a_better_token_alone_makes_nothing() -> None:
    token = {"token": GivenAnswer("token", {"index": 3, "id": 5})}
    assert list(labelled_by_answers(A, token)) == []
    assert list(pairs_by_answers(A, token)) == []


@pytest.mark.parametrize(
    ("verdict", "labels", "pairs"),
    [
        (Verdict.A, [True, False], [(A, B)]),
        (Verdict.B, [False, True], [(B, A)]),
        (Verdict.TIE, [True, True], []),
        (Verdict.BOTH_BAD, [False, False], []),
    ],
)
def test_a_vote_labels_both_sides_and_a_tie_makes_no_pair(
    verdict: Verdict, labels: list[bool], pairs: list[tuple[Completion, Completion]]
) -> None:
    labelled = list(labelled_by_vote(A, B, verdict))
    assert [each.completion for each in labelled] == [A, B]
    assert [each.is_desirable for each in labelled] == labels
    assert [(pair.chosen, pair.rejected) for pair in pairs_by_vote(A, B, verdict)] == pairs


@given(completions, completions, st.sampled_from(Verdict))
def test_no_pair_prefers_a_text_to_itself_or_to_nothing(a: Completion, b: Completion, verdict: Verdict) -> None:
    for pair in [*pairs_by_vote(a, b, verdict), *pairs_of_siblings([a], [b])]:
        assert pair.chosen.text != pair.rejected.text
        assert pair.chosen.text
        assert pair.rejected.text


@given(completions, completions, st.sampled_from(Verdict))
def test_turning_the_sides_round_changes_no_label(a: Completion, b: Completion, verdict: Verdict) -> None:
    turned = {Verdict.A: Verdict.B, Verdict.B: Verdict.A}.get(verdict, verdict)

    def labels(left: Completion, right: Completion, said_of_them: Verdict) -> set[tuple[Completion, bool]]:
        return {(each.completion, each.is_desirable) for each in labelled_by_vote(left, right, said_of_them)}

    assert labels(a, b, verdict) == labels(b, a, turned)
