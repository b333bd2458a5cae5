"""One upstream answer while it arrives: chunks in, deltas out; counts, stop strings, and bounds on what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from inference.events import Channel, Delta, FailureCode, FinishReason, Token, Usage
from inference.graphemes import Graphemes
from inference.sampling_params import SamplingParams
from inference.stop_strings import StopStrings
from inference.think_text import ThinkText
from inference.upstream_chunks import Chunk, UpstreamUsage
from inference.upstream_request import UnsupportedByUpstream
from inference.upstream_sse import StreamMalformed

_SPARE_CHARACTERS: Final = 4_096
_CHARACTERS_PER_TOKEN: Final = 256
_REASONS: Final = {
    "stop": FinishReason.STOP,
    "eos_token": FinishReason.STOP,  # TGI
    "stop_sequence": FinishReason.STOP,  # TGI
    "length": FinishReason.LENGTH,
}


class UpstreamFailure(Exception):
    """The run ends without an answer, with a code and a sentence for the person who asked."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UpstreamAnswer:
    """Collects chunks. `finish_reason` is set by the chunk that ends the answer."""

    def __init__(self, params: SamplingParams, *, may_think: bool = True) -> None:
        self._params = params
        self._think_text = ThinkText() if may_think else None
        self._stops = StopStrings(params.stop)
        self._pending: list[Token] = []
        self._tokens = 0
        self._deltas = 0
        self._characters = 0
        self._thinking_tokens = 0
        self._thinking_deltas = 0
        self._usage: UpstreamUsage | None = None
        self._is_stopped = False
        self._channel = Channel.ANSWER
        self._graphemes = Graphemes()
        self.finish_reason: FinishReason | None = None

    @property
    def has_begun(self) -> bool:
        """Whether text or a token has come, after which nothing may be asked again."""
        return self._deltas > 0 or self._tokens > 0

    @property
    def has_tokens(self) -> bool:
        return self._tokens > 0

    @property
    def prompt_tokens(self) -> int | None:
        return self._usage.prompt_tokens if self._usage else None

    @property
    def ended_here(self) -> bool:
        """Whether a stop string or the limit ended the answer on this side: the upstream must be told by hanging up."""
        return self._is_stopped

    def begin(self, text: str) -> list[Delta]:
        """The answer's given beginning, which the upstream does not tell again."""
        return [delta for channel, told in self._told(text) for delta in self._show(channel, told)]

    def take(self, chunk: Chunk) -> list[Delta]:
        """The deltas that a chunk gives. Raises UpstreamFailure, UnsupportedByUpstream and StreamMalformed."""
        if chunk.usage is not None:
            self.take_usage(chunk.usage)
        if chunk.has_tool_call:
            raise UpstreamFailure(FailureCode.UNSUPPORTED, "The model called a tool, and there are none here.")
        deltas: list[Delta] = []
        if (chunk.text or chunk.thinking or chunk.tokens) and not self._ends_at_limit(chunk):
            self._count(chunk)
            if chunk.text and not chunk.thinking and self._think_text is None and self._channel is Channel.THINKING:
                deltas += self._rest()
            self._pending += chunk.tokens
            if chunk.thinking:
                # Whoever tells thinking apart leaves none in the text.
                self._think_text = None
                deltas += self._delta(chunk.thinking, Channel.THINKING, keep_tokens=bool(chunk.text))
            told = self._told(chunk.text)
            for channel, text in told:
                deltas += self._show(channel, text)
            if chunk.thinking or any(channel is Channel.THINKING for channel, _text in told):
                self._thinking_deltas += 1
        if chunk.finish_reason is not None and self.finish_reason is None:
            self.finish_reason = _finish_reason(chunk.finish_reason)
        return deltas

    def take_usage(self, usage: UpstreamUsage) -> None:
        """Counts that come after the answer's end."""
        self._usage = usage

    def finish(self) -> list[Delta]:
        """The last deltas: text held back because something might have followed, and the tokens left over."""
        deltas: list[Delta] = []
        for channel, text in self._think_text.flush() if self._think_text else ():
            deltas += self._show(channel, text)
        deltas += self._delta("" if self._is_stopped else self._stops.flush(), Channel.ANSWER)
        return [*deltas, *self._rest()]

    def _told(self, text: str) -> list[tuple[Channel, str]]:
        return self._think_text.push(text) if self._think_text else [(Channel.ANSWER, text)]

    def _show(self, channel: Channel, text: str) -> Sequence[Delta]:
        """Stop strings end the answer, not the thinking before it."""
        if channel is Channel.THINKING:
            return self._delta(text, channel)
        if self._is_stopped:
            return ()
        shown, self._is_stopped = self._stops.push(text)
        if self._is_stopped:
            self.finish_reason = FinishReason.STOP
        return self._delta(shown, channel)

    def usage(self) -> Usage:
        """The upstream's counts; ours, marked so, when the answer was cut short or the upstream told none."""
        counted = self._tokens or self._deltas
        if self._usage is None or (self._usage.completion_tokens < counted and self._tokens > 0):
            return Usage(
                self.prompt_tokens or 0, counted, is_counted=True, reasoning_tokens=min(self._thinking(), counted)
            )
        told = self._usage.reasoning_tokens
        # Few upstreams tell them.
        reasoning = min(self._thinking() if told is None else told, self._usage.completion_tokens)
        return Usage(
            self._usage.prompt_tokens,
            self._usage.completion_tokens,
            self._usage.cached_tokens,
            reasoning_tokens=reasoning,
        )

    def _thinking(self) -> int:
        """As many tokens as arrived of the thinking; pieces of it, which are a token or more, where none were told."""
        return self._thinking_tokens or self._thinking_deltas

    def _ends_at_limit(self, chunk: Chunk) -> bool:
        # Where tokens are told, text without one is the held back end of the last; without logprobs a delta is a token
        # or more, except where a server gives out held text by itself.
        is_full = bool(chunk.tokens) and self._tokens >= self._params.max_tokens
        is_full = is_full or self._deltas > 2 * self._params.max_tokens + 16
        if is_full:
            self._is_stopped = True
            self.finish_reason = FinishReason.LENGTH
        return is_full

    def _count(self, chunk: Chunk) -> None:
        self._tokens += len(chunk.tokens)
        if chunk.text or chunk.thinking:
            self._deltas += 1
        # Some servers report them for the answer alone, and not for the thinking before it.
        if self._params.top_logprobs and chunk.text and not self._tokens:
            raise UnsupportedByUpstream("top_logprobs: this upstream reports no probabilities.")
        self._characters += len(chunk.text) + len(chunk.thinking)
        if self._characters > _SPARE_CHARACTERS + _CHARACTERS_PER_TOKEN * self._params.max_tokens:
            raise StreamMalformed("it sends more text than max_tokens allows")

    def _delta(self, text: str, channel: Channel, *, keep_tokens: bool = False) -> Sequence[Delta]:
        deltas: list[Delta] = []
        if text and channel is not self._channel:
            rest = self._graphemes.flush()
            deltas += [Delta(rest, channel=self._channel)] if rest else []
            self._channel = channel
        shown = self._graphemes.push(text)
        if not shown:
            return deltas
        tokens: tuple[Token, ...] = ()
        if not keep_tokens:
            tokens = self._take_tokens()
        return [*deltas, Delta(shown, channel=channel, tokens=tokens)]

    def _rest(self) -> Sequence[Delta]:
        """The last grapheme, and the tokens left over."""
        text, tokens = self._graphemes.flush(), self._take_tokens()
        return [Delta(text, channel=self._channel, tokens=tokens)] if text or tokens else []

    def _take_tokens(self) -> tuple[Token, ...]:
        """Those that belong to the channel's next delta."""
        tokens, self._pending = tuple(self._pending), []
        if self._channel is Channel.THINKING:
            self._thinking_tokens += len(tokens)
        return tokens


def _finish_reason(reason: str) -> FinishReason:
    if reason in _REASONS:
        return _REASONS[reason]
    if reason == "content_filter":
        raise UpstreamFailure(FailureCode.UPSTREAM, "The upstream's content filter ended this answer.")
    if reason in {"tool_calls", "function_call"}:
        raise UpstreamFailure(FailureCode.UNSUPPORTED, "The model called a tool, and there are none here.")
    raise UpstreamFailure(FailureCode.UPSTREAM, "The upstream ended this answer for a reason of its own.")
