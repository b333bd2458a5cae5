"""A reasoning model's thinking is told from its answer, and no mark is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inference.answer_text import AnswerText
from inference.channels import channel_reader_maker
from inference.detokenizer import Vocabulary
from inference.events import Channel, Token
from tests.inference.tiny_models import tiny_tokenizer

HARMONY_MARKS = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
THINK_MARKS = ("<think>", "</think>")


@pytest.fixture(scope="module")
def think_tokenizer() -> Any:
    return tiny_tokenizer(extra_special=THINK_MARKS)


@pytest.fixture(scope="module")
def harmony_tokenizer() -> Any:
    return tiny_tokenizer(extra_special=HARMONY_MARKS)


def _answer(tokenizer: Any, output: str, *, prompt: str = "", stops: Sequence[str] = ()) -> dict[Channel, str]:
    """The text of each channel when the model writes `output`."""
    return {channel: text for channel, (text, _token_ids) in _told(tokenizer, output, prompt, stops).items()}


def _told(tokenizer: Any, output: str, prompt: str, stops: Sequence[str]) -> dict[Channel, tuple[str, list[int]]]:
    reader = channel_reader_maker(tokenizer)(tokenizer(prompt)["input_ids"])
    answer = AnswerText(Vocabulary(tokenizer), stops, reader)
    token_ids = tokenizer(output)["input_ids"]
    deltas = []
    stopped = False
    for token_id in token_ids:
        more, stopped = answer.push(Token(token_id, "", 0.0))
        deltas += more
        if stopped:
            break
    deltas += answer.finish(stopped=stopped)
    if not stopped:
        assert [token.id for delta in deltas for token in delta.tokens] == token_ids
    of = {channel: [delta for delta in deltas if delta.channel is channel] for channel in Channel}
    assert answer.reasoning_tokens == sum(len(delta.tokens) for delta in of[Channel.THINKING])
    return {
        channel: ("".join(delta.text for delta in told), [token.id for delta in told for token in delta.tokens])
        for channel, told in of.items()
    }


def test_think_tags_divide_the_text(think_tokenizer: Any) -> None:
    assert _answer(think_tokenizer, "<think>the fox?\n</think>The dog.") == {
        Channel.THINKING: "the fox?\n",
        Channel.ANSWER: "The dog.",
    }


def test_a_template_that_opens_the_thinking_is_honoured(think_tokenizer: Any) -> None:
    found = _answer(think_tokenizer, "the fox?</think>The dog.", prompt="tell me<think>")
    assert found == {Channel.THINKING: "the fox?", Channel.ANSWER: "The dog."}


def test_a_template_that_closes_the_thinking_leaves_the_answer(think_tokenizer: Any) -> None:
    found = _answer(think_tokenizer, "The dog.", prompt="tell me<think></think>")
    assert found == {Channel.THINKING: "", Channel.ANSWER: "The dog."}


@pytest.mark.parametrize("thinking", ["the fox?", "the fox 🎉", ""])
def test_the_mark_that_ends_the_thinking_is_no_token_of_the_answer(think_tokenizer: Any, thinking: str) -> None:
    told = _told(think_tokenizer, f"{thinking}</think>The dog.", "tell me<think>", ())
    ids_of = {channel: token_ids for channel, (_text, token_ids) in told.items()}
    assert think_tokenizer.decode(ids_of[Channel.ANSWER]) == "The dog."
    assert think_tokenizer.decode(ids_of[Channel.THINKING]) == f"{thinking}</think>"


def test_thinking_that_never_ends_is_all_thinking(think_tokenizer: Any) -> None:
    assert _answer(think_tokenizer, "<think>the fox 🎉") == {Channel.THINKING: "the fox 🎉", Channel.ANSWER: ""}


def test_stop_strings_end_the_answer_and_not_the_thinking(think_tokenizer: Any) -> None:
    found = _answer(think_tokenizer, "<think>the fox</think>one fox two", stops=["fox"])
    assert found == {Channel.THINKING: "the fox", Channel.ANSWER: "one "}


def test_harmony_channels_divide_the_text(harmony_tokenizer: Any) -> None:
    output = (
        "<|channel|>analysis<|message|>the user wants a dog<|end|>"
        "<|start|>assistant<|channel|>final<|message|>The dog.<|return|>"
    )
    assert _answer(harmony_tokenizer, output, prompt="<|start|>assistant") == {
        Channel.THINKING: "the user wants a dog",
        Channel.ANSWER: "The dog.",
    }


def test_harmony_commentary_is_not_the_answer(harmony_tokenizer: Any) -> None:
    output = "<|channel|>commentary to=functions.f<|message|>{}<|call|>"
    assert _answer(harmony_tokenizer, output, prompt="<|start|>assistant") == {
        Channel.THINKING: "{}",
        Channel.ANSWER: "",
    }


def test_without_marks_everything_is_the_answer() -> None:
    tokenizer = tiny_tokenizer()
    assert _answer(tokenizer, "The dog 🎉")[Channel.ANSWER] == "The dog 🎉"


def test_plain_text_that_a_harmony_model_continues_is_the_answer(harmony_tokenizer: Any) -> None:
    found = _answer(harmony_tokenizer, " brown fox", prompt="the quick")
    assert found == {Channel.THINKING: "", Channel.ANSWER: " brown fox"}
