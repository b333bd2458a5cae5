"""One answer's way from tokens to deltas: channels, characters, stop strings, graphemes, and the tokens beside."""

from __future__ import annotations

from collections.abc import Sequence

from inference.channels import ChannelReader
from inference.detokenizer import TextStream, Vocabulary
from inference.events import Channel, Delta, Token
from inference.graphemes import Graphemes
from inference.stop_strings import StopStrings


class AnswerText:
    """Collects tokens and gives out deltas; a delta's tokens are all those since the one before it.

    `reasoning_tokens` of them were thinking, its marks among them.
    """

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str], channels: ChannelReader) -> None:
        self._vocabulary = vocabulary
        self._channels = channels
        self._stop_strings = StopStrings(stops)
        self._stream = TextStream(vocabulary)
        self._graphemes = Graphemes()
        self._tokens: list[Token] = []
        self._channel = channels.channel
        self.reasoning_tokens = 0

    def push(self, token: Token) -> tuple[list[Delta], bool]:
        """The deltas that this token completes, and whether a stop string ends the answer here."""
        visible = self._channels.read(token.id)
        deltas: list[Delta] = []
        stopped = False
        # The mark that ends the thinking is its last token, and none of the answer's.
        ends_thinking = self._channel is Channel.THINKING and self._channels.channel is not self._channel
        if ends_thinking:
            self._tokens.append(token)
        if self._channels.channel is not self._channel:
            text, stopped = self._through_stops(self._stream.flush())
            if not stopped:
                text += self._rest_of_stops()
            text = self._graphemes.push(text) + self._graphemes.flush()
            deltas += self._delta(text, even_if_empty=ends_thinking)
            self._channel = self._channels.channel
            self._stream = TextStream(self._vocabulary)
        if not ends_thinking:
            self._tokens.append(token)
        if visible and not stopped:
            text, stopped = self._through_stops(self._stream.push(token.id))
            deltas += self._delta(self._graphemes.push(text))
        return deltas, stopped

    def finish(self, *, stopped: bool) -> list[Delta]:
        """The last delta: what was held back, unless a stop string ended the answer, and the tokens left over."""
        text = ""
        if not stopped:
            text, stopped = self._through_stops(self._stream.flush())
            if not stopped:
                text += self._rest_of_stops()
        text = self._graphemes.push(text) + self._graphemes.flush()
        return self._delta(text, even_if_empty=bool(self._tokens))

    def _through_stops(self, text: str) -> tuple[str, bool]:
        # Stop strings end the answer, not the thinking before it.
        return self._stop_strings.push(text) if self._channel is Channel.ANSWER else (text, False)

    def _rest_of_stops(self) -> str:
        return self._stop_strings.flush() if self._channel is Channel.ANSWER else ""

    def _delta(self, text: str, *, even_if_empty: bool = False) -> list[Delta]:
        if not text and not even_if_empty:
            return []
        tokens, self._tokens = tuple(self._tokens), []
        if self._channel is Channel.THINKING:
            self.reasoning_tokens += len(tokens)
        return [Delta(text, channel=self._channel, tokens=tokens)]
