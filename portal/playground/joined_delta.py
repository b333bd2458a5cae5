"""Tokens that wait for the same write become one event: each event costs the worker, the store and every viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import orjson

from inference.events import Channel, Delta
from portal.playground.stream import EventType, token_object

# A store that is away for long must not make one huge event of all that was computed meanwhile.
MOST_TOKENS: Final = 32
MOST_CHARACTERS: Final = 1_000


@dataclass(slots=True)
class JoinedDelta:
    """Deltas of one channel, in turn, whose text is storable. What cannot be encoded is refused when it is made."""

    channel: Channel
    text: str
    tokens: list[orjson.Fragment]

    @classmethod
    def of(cls, delta: Delta) -> Self:
        """Raises TypeError for what JSON cannot say, as a number of more than 64 bits."""
        tokens = [orjson.Fragment(orjson.dumps(token_object(token))) for token in delta.tokens]
        return cls(delta.channel, delta.text, tokens)

    def join(self, later: JoinedDelta) -> bool:
        """Take in what follows; False where it must be an event of its own."""
        # An upstream may tell text without tokens.
        is_long = (
            len(self.tokens) + len(later.tokens) > MOST_TOKENS or len(self.text) + len(later.text) > MOST_CHARACTERS
        )
        if later.channel != self.channel or is_long:
            return False
        self.text += later.text
        self.tokens += later.tokens
        return True

    def encode(self) -> bytes:
        """The event on the wire."""
        return orjson.dumps(
            {"type": EventType.DELTA, "text": self.text, "channel": self.channel, "tokens": self.tokens}
        )
