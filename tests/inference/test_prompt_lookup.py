"""What is guessed stood behind the same tokens before, and guesses of its kind have been worth their price."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.prompt_lookup import LEAST_AGREEMENT, PromptLookup

tokens_lists = st.lists(st.integers(0, 3), max_size=60)


@given(tokens=tokens_lists, most=st.integers(1, 16))
def test_a_guess_stood_behind_the_last_tokens_before(tokens: list[int], most: int) -> None:
    guess = PromptLookup(tokens, 0).propose(most)
    assert len(guess) <= most
    last = tokens[-LEAST_AGREEMENT:]
    places = [at for at in range(LEAST_AGREEMENT, len(tokens)) if tokens[at - LEAST_AGREEMENT : at] == last]
    assert bool(guess) == bool(places)
    assert not guess or any(tokens[at : at + len(guess)] == guess for at in places)


@given(prompt=tokens_lists, answer=tokens_lists)
def test_it_depends_on_the_tokens_alone(prompt: list[int], answer: list[int]) -> None:
    grown = PromptLookup(prompt, 0)
    for token in answer:
        grown.note(token)
    assert grown.propose(8) == PromptLookup([*prompt, *answer], 0).propose(8)


def test_a_copy_is_guessed_further_the_longer_it_agrees() -> None:
    text = list(range(100, 140))
    lookup = PromptLookup([*text, 1], 0.3)
    lengths = []
    for token in text[:12]:
        lookup.note(token)
        lengths.append(len(lookup.propose(8)))
    assert lengths == [0, 0, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]


def test_after_a_changed_word_the_copy_is_found_again() -> None:
    text = list(range(100, 140))
    lookup = PromptLookup([*text, 1, *text[:20], 7, *text[21:24]], 0.3)
    assert lookup.propose(3) == text[24:27]


def test_wrong_guesses_end_those_of_their_kind_and_right_ones_bring_them_back() -> None:
    text = list(range(100, 140))
    lookup = PromptLookup([*text, 1, *text[:3]], 0.3)
    assert lookup.propose(1) == [103]
    for _ in range(3):
        lookup.judge(0)
    assert lookup.propose(1) == []
    lookup.note(103)
    assert lookup.propose(1) == [104], "a longer agreement is of another kind"
    dear = PromptLookup([*text, 1, *text[:3]], 0.5)
    assert dear.propose(1) == []
    dear.judge(3)
    assert dear.propose(1) == [103]
