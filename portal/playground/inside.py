"""What a run's trace tells about each token: its probability, how unsure the model was, and what else it considered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# Lower bounds of the steps in which text is coloured, from calm to surprising.
PROBABILITY_STEPS: Final = (0.9, 0.6, 0.3, 0.1, 0.0)
# Upper bounds in bits.
ENTROPY_STEPS: Final = (0.5, 1.0, 2.0, 3.0, math.inf)
MAX_SURPRISING: Final = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could have stood there. `index` is its place in the trace's list, by which it is chosen."""

    index: int
    id: int
    text: str
    probability: float
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class InsideToken:
    """One token. `logprob` is None for the first token of a scored text, which nothing precedes.

    `entropy_bits` is a lower bound: it is computed from the alternatives that were kept, and what they leave counts as
    one more. None without alternatives.
    """

    number: int
    id: int
    text: str
    logprob: float | None
    entropy_bits: float | None
    is_thinking: bool
    # Before this token, the answer's beginning was given.
    is_given: bool
    candidates: tuple[Candidate, ...]

    @property
    def probability(self) -> float | None:
        return None if self.logprob is None else math.exp(min(0.0, self.logprob))

    @property
    def surprisal_bits(self) -> float | None:
        return None if self.logprob is None else -self.logprob / math.log(2)

    @property
    def probability_step(self) -> int | None:
        """0 for a token that was nearly certain to 4 for a surprising one."""
        p = self.probability
        return None if p is None else next(at for at, bound in enumerate(PROBABILITY_STEPS) if p >= bound)

    @property
    def entropy_step(self) -> int | None:
        bits = self.entropy_bits
        return None if bits is None else next(at for at, bound in enumerate(ENTROPY_STEPS) if bits < bound)

    @property
    def shown(self) -> str:
        """The text with what cannot be seen made visible; never empty."""
        # A link of spaces alone has no name that anybody could hear.
        text = self.text if self.text.strip(" ") else self.text.replace(" ", "␣")
        return text.replace("\n", "↵\n").replace("\t", "⇥\t") or "∅"


def read_tokens(trace: Sequence[Mapping[str, Any]], *, given: int = 0) -> list[InsideToken]:
    """TokenTrace.tokens as they are looked at; the first `given` were not sampled."""
    return [_read_token(number, token, is_given=number < given) for number, token in enumerate(trace)]


def _read_token(number: int, token: Mapping[str, Any], *, is_given: bool) -> InsideToken:
    top = token.get("top") or ()
    candidates = tuple(
        Candidate(
            index,
            each["id"],
            each["text"],
            math.exp(min(0.0, each["logprob"])),
            is_chosen=(each["id"] == token["id"] if each["id"] >= 0 else each["text"] == token["text"]),
        )
        for index, each in enumerate(top)
    )
    return InsideToken(
        number=number,
        id=token["id"],
        text=token["text"],
        logprob=token["logprob"],
        entropy_bits=entropy_bits([each.probability for each in candidates]) if candidates else None,
        is_thinking=token.get("channel") == "thinking",
        is_given=is_given,
        candidates=candidates,
    )


def entropy_bits(probabilities: Sequence[float]) -> float:
    """The entropy of these outcomes and of one that has the rest; the full distribution's is at least this."""
    rest = max(0.0, 1.0 - math.fsum(probabilities))
    return -math.fsum(p * math.log2(p) for p in [*probabilities, rest] if p > 0)


@dataclass(frozen=True, slots=True)
class TextScore:
    """How well a model predicts a text. `measured` tokens have a log-probability; `perplexity` is exp of their mean's
    negative."""

    measured: int
    logprob_sum: float
    perplexity: float | None
    surprising: tuple[InsideToken, ...]

    @property
    def bits_per_token(self) -> float | None:
        return -self.logprob_sum / math.log(2) / self.measured if self.measured else None


def score_text(tokens: Sequence[InsideToken]) -> TextScore:
    measured = [each for each in tokens if each.logprob is not None]
    total = math.fsum(each.logprob or 0.0 for each in measured)
    surprising = sorted(measured, key=lambda each: each.logprob or 0.0)[:MAX_SURPRISING]
    # Beyond it, exp overflows; a text that improbable has no perplexity that anybody could read.
    mean = -total / len(measured) if measured else None
    perplexity = math.exp(mean) if mean is not None and mean < 700 else None
    return TextScore(len(measured), total, perplexity, tuple(surprising))
