"""Thinking that a server leaves in the text, as `<think>…</think>` at its beginning, told from the answer."""

from __future__ import annotations

from inference.channels import THINK_CLOSE, THINK_OPEN
from inference.events import Channel


class ThinkText:
    """Text goes in piecewise and comes out with its channel; the tags come out nowhere.

    Only at the very beginning does a tag open thinking: further on it is text that the model writes about.
    """

    def __init__(self) -> None:
        self._held = ""
        self._channel: Channel | None = None

    def push(self, text: str) -> list[tuple[Channel, str]]:
        """What can be told now, in order."""
        self._held += text
        if self._channel is None:
            begun = self._held.lstrip()
            if THINK_OPEN.startswith(begun):
                return []
            is_open = begun.startswith(THINK_OPEN)
            self._channel = Channel.THINKING if is_open else Channel.ANSWER
            self._held = begun.removeprefix(THINK_OPEN) if is_open else self._held
        told: list[tuple[Channel, str]] = []
        if self._channel is Channel.THINKING:
            thinking, close, rest = self._held.partition(THINK_CLOSE)
            if not close:
                kept = _possible_start(thinking)
                thinking, rest = thinking[: len(thinking) - kept], thinking[len(thinking) - kept :]
            else:
                self._channel = Channel.ANSWER
            told.append((Channel.THINKING, thinking))
            self._held = rest
        if self._channel is Channel.ANSWER:
            told.append((Channel.ANSWER, self._held))
            self._held = ""
        return [(channel, part) for channel, part in told if part]

    def flush(self) -> list[tuple[Channel, str]]:
        """What was held back because a tag might have followed."""
        rest, self._held = self._held, ""
        return [(self._channel or Channel.ANSWER, rest)] if rest else []


def _possible_start(text: str) -> int:
    """The length of the longest end of the text that begins the closing tag."""
    return next((length for length in range(len(THINK_CLOSE) - 1, 0, -1) if text.endswith(THINK_CLOSE[:length])), 0)
