"""Tells a reasoning model's thinking from its answer by the marks that its vocabulary has for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from inference.events import Channel

THINK_OPEN: Final = "<think>"
THINK_CLOSE: Final = "</think>"
HARMONY_CHANNEL: Final = "<|channel|>"
HARMONY_MESSAGE: Final = "<|message|>"
HARMONY_START: Final = "<|start|>"
HARMONY_ENDS: Final = ("<|end|>", "<|return|>", "<|call|>")


class ChannelReader(Protocol):
    """Follows one answer. `channel` is where the next visible token belongs."""

    @property
    def channel(self) -> Channel: ...

    def read(self, token_id: int) -> bool:
        """Take a token; false when it is a mark rather than text."""


class AnswerOnly:
    """A model without marks for thinking."""

    channel = Channel.ANSWER

    def read(self, token_id: int) -> bool:
        return True


class ThinkTags:
    """`<think>…</think>` as single tokens; a chat template may have opened the thinking already."""

    def __init__(self, open_id: int, close_id: int, prompt_ids: Sequence[int]) -> None:
        self._open_id = open_id
        self._close_id = close_id
        marks = [token_id for token_id in prompt_ids if token_id in {open_id, close_id}]
        is_open = bool(marks) and marks[-1] == open_id
        self.channel = Channel.THINKING if is_open else Channel.ANSWER

    def read(self, token_id: int) -> bool:
        if token_id == self._open_id:
            self.channel = Channel.THINKING
        elif token_id == self._close_id:
            self.channel = Channel.ANSWER
        else:
            return True
        return False


class Harmony:
    """gpt-oss: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>`.

    Between a mark and `<|message|>` stands the header (role, channel name), which is not text for anybody. A chat's
    prompt ends inside one; plain text that is continued has none.
    """

    def __init__(self, marks: dict[str, int], name_of: Callable[[list[int]], str], prompt_ids: Sequence[int]) -> None:
        self._marks = {token_id: text for text, token_id in marks.items()}
        self._name_of = name_of
        last = next((self._marks[token_id] for token_id in reversed(prompt_ids) if token_id in self._marks), None)
        self._header: list[int] | None = [] if last in {HARMONY_START, HARMONY_CHANNEL} else None
        self.channel = Channel.ANSWER

    def read(self, token_id: int) -> bool:
        mark = self._marks.get(token_id)
        if mark is None:
            if self._header is None:
                return True
            self._header.append(token_id)
        elif mark == HARMONY_MESSAGE:
            name = self._name_of(self._header or [])
            # Everything but the final channel (analysis, commentary) is the model talking to itself or to tools.
            self.channel = Channel.ANSWER if "final" in name or not name.strip() else Channel.THINKING
            self._header = None
        else:
            self._header = []
        return False


def answer_opening(tokenizer: Any) -> str:
    """The marks behind which a text is the answer, where a text without any would be nobody's: harmony's."""
    vocabulary = tokenizer.get_vocab()
    if all(mark in vocabulary for mark in (HARMONY_CHANNEL, HARMONY_MESSAGE, HARMONY_START)):
        return f"{HARMONY_CHANNEL}final{HARMONY_MESSAGE}"
    return ""


def channel_reader_maker(tokenizer: Any) -> Callable[[Sequence[int]], ChannelReader]:
    """Look once which marks the vocabulary has; the result makes a reader for the answer to a prompt."""
    vocabulary = tokenizer.get_vocab()
    if all(mark in vocabulary for mark in (HARMONY_CHANNEL, HARMONY_MESSAGE, HARMONY_START)):
        texts = (HARMONY_CHANNEL, HARMONY_MESSAGE, HARMONY_START, *HARMONY_ENDS)
        marks = {text: vocabulary[text] for text in texts if text in vocabulary}
        return lambda prompt_ids: Harmony(marks, tokenizer.decode, prompt_ids)
    if THINK_OPEN in vocabulary and THINK_CLOSE in vocabulary:
        open_id, close_id = vocabulary[THINK_OPEN], vocabulary[THINK_CLOSE]
        return lambda prompt_ids: ThinkTags(open_id, close_id, prompt_ids)
    return lambda _prompt_ids: AnswerOnly()
