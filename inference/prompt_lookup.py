"""Guesses an answer's next tokens from where its last ones stood before (Saxena 2023, prompt lookup decoding).

What repeats its prompt or itself (a text with a word changed, JSON, code) is guessed well; other text hardly ever. How
well depends on how many of the last tokens agree with the former place, and on the answer, which is learned as it goes.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Final

# So many last tokens must have stood there too; by how many do, guesses are told apart.
LEAST_AGREEMENT: Final = 3
AGREEMENTS: Final = (LEAST_AGREEMENT, 4, 6, 10, 20)
MOST_AGREEMENT: Final = AGREEMENTS[-1]
# How many guessed tokens are expected to be right before any was seen, and how many tries that counts for.
EXPECTED: Final = (0.4, 0.7, 1.2, 2.0, 4.0)
TRIES: Final = 2


class PromptLookup:
    """One request's tokens, prompt and answer. What it proposes depends on them alone, so that a run repeats."""

    def __init__(self, tokens: Sequence[int], price: float) -> None:
        """`price` is how many right tokens make a guess worth its verification."""
        self._price = price
        self._tokens: list[int] = []
        self._followers: dict[tuple[int, ...], int] = {}
        self._source: int | None = None
        self._agreed = 0
        self._right = [TRIES * each for each in EXPECTED]
        self._tries = [TRIES for _ in EXPECTED]
        for token_id in tokens:
            self.note(token_id)

    def note(self, token_id: int) -> None:
        """The next token is this one."""
        tokens, source = self._tokens, self._source
        tokens.append(token_id)
        last = tuple(tokens[-LEAST_AGREEMENT:])
        if source is not None and tokens[source] == token_id:
            self._source, self._agreed = source + 1, self._agreed + 1
        elif (source := self._followers.get(last)) is not None:
            self._source, self._agreed = source, self._agreement(source)
        else:
            self._source, self._agreed = None, 0
        if len(last) == LEAST_AGREEMENT:
            self._followers[last] = len(tokens)

    def _agreement(self, source: int) -> int:
        """How many tokens before that place are the last ones."""
        agreed = 0
        while agreed < min(source, MOST_AGREEMENT) and self._tokens[source - 1 - agreed] == self._tokens[-1 - agreed]:
            agreed += 1
        return agreed

    @property
    def _kind(self) -> int:
        return bisect.bisect_right(AGREEMENTS, self._agreed) - 1

    def propose(self, most: int) -> list[int]:
        """At most so many tokens that may come next, as many as agreed before; none where that is not worth it."""
        if self._source is None or self._right[self._kind] < self._price * self._tries[self._kind]:
            return []
        return self._tokens[self._source : self._source + min(most, self._agreed)]

    def judge(self, right: int) -> None:
        """So many of the tokens proposed last were right. To be told before they are noted."""
        self._right[self._kind] += right
        self._tries[self._kind] += 1
