"""One request while it is in the engine: what it reads, what it has written, and when."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from inference.answer_text import AnswerText
from inference.chat_prompt import Prompt
from inference.engine_thread import Submission
from inference.events import Emission, Event, Failed, Finished, FinishReason, Started, Timings, Usage
from inference.key_value_slots import Place
from inference.prompt_lookup import PromptLookup
from inference.sampler import SamplingState
from inference.step_plan import Span

logger = logging.getLogger(__name__)

TOKENIZER_MESSAGE: Final = "The model's tokenizer could not turn its tokens into text, so the answer ended."
OVERFLOW_MESSAGE: Final = "The model's numbers overflowed on this prompt, so there is no next token to choose."


@dataclass(slots=True, eq=False)
class RunningRequest:
    """`given` is what is read before anything is written: the prompt, and the beginning of the answer if there is one.

    Its tokens from `told_from` on are part of what comes out. `limit` is the number of positions that everything may
    take together.
    """

    submission: Submission
    prompt: Prompt
    given: tuple[int, ...]
    told_from: int
    sampling: SamplingState
    answer: AnswerText
    limit: int
    place: Place | None = None
    computed: int = 0
    cached: int = 0
    told: int = 0
    written: list[int] = field(default_factory=list)
    proposed: list[int] = field(default_factory=list)
    may_guess: bool = True
    lookup: PromptLookup | None = None
    started_at: float | None = None
    first_token_at: float | None = None

    @property
    def request_id(self) -> str:
        return self.submission.request_id

    @property
    def adapter(self) -> str | None:
        return self.submission.request.adapter

    @property
    def unread(self) -> int:
        """Given tokens still to be computed."""
        return max(0, len(self.given) - self.computed)

    @property
    def is_full(self) -> bool:
        """Whether the answer has no room for another token."""
        return len(self.written) >= self.submission.request.params.max_tokens or self.length >= self.limit

    @property
    def length(self) -> int:
        """Positions of prompt and answer."""
        return len(self.given) + len(self.written)

    @property
    def positions_wanted(self) -> int:
        """Positions that the slot must have."""
        request = self.submission.request
        return min(len(self.given) + (0 if request.score else request.params.max_tokens), self.limit)

    @property
    def computed_tokens(self) -> list[int]:
        """The tokens whose keys and values are in the slot."""
        return [*self.given, *self.written][: self.computed]

    def span(self, place: Place, piece: int, most_wanted: int) -> Span:
        """The next step's share: a piece of what is given, or the last token of the answer and what may follow it.

        At most `most_wanted` rows of logits come of it, or one where that is less.
        """
        tokens: Sequence[int]
        if not self.unread:
            tokens = [self.written[-1], *self.proposed]
            return Span(place, self.computed, tokens, self.adapter, wanted=len(tokens))
        # The logits after a token are those for the next one.
        unmeasured = max(0, self.told_from - 1 - self.computed)
        tokens = self.given[self.computed : self.computed + min(piece, unmeasured + max(1, most_wanted))]
        return Span(place, self.computed, tokens, self.adapter, wanted=max(1, len(tokens) - unmeasured))

    def propose(self, most: int, price: float) -> None:
        """Guess at most so many tokens behind the last one, which the next step verifies, if that is worth its price.

        Only what is greedy and free of penalties is guessed: a guess is then right or wrong by the logits alone.
        """
        params, self.proposed = self.submission.request.params, []
        if not self.may_guess or self.unread or most < 1 or params.temperature > 0 or self.sampling.penalises:
            return
        if self.lookup is None:
            self.lookup = PromptLookup([*self.given, *self.written], price)
        written = len(self.written)
        room = min(params.max_tokens - written - 1, self.limit - self.length)
        if written < params.min_tokens:
            # The rows of a span share its beginning's length: either all are too short to end, or none.
            room = min(room, params.min_tokens - written - 1)
        self.proposed = self.lookup.propose(max(0, min(most, room)))

    def write(self, token_id: int) -> None:
        """The next token of the answer."""
        self.written.append(token_id)
        self.sampling.note(token_id)
        if self.lookup is not None:
            self.lookup.note(token_id)

    def measured_by(self, span: Span) -> Sequence[int]:
        """The given tokens that the span's wanted rows of logits measure, in order; the row behind them chooses."""
        first = max(span.end - span.wanted + 1, self.told_from)
        return self.given[first : span.end + 1]

    def started(self) -> Emission:
        """The request has its slot."""
        self.started_at = time.monotonic()
        return self.emission(Started(len(self.prompt.token_ids), self.prompt.text))

    def finished(self, reason: FinishReason, *, stopped: bool = False) -> list[Emission]:
        """What was held back of the text, then the end."""
        now = time.monotonic()
        started_at = now if self.started_at is None else self.started_at
        first_token_at = now if self.first_token_at is None else self.first_token_at
        deltas = self.answer.finish(stopped=stopped)
        is_prompt_told = self.told_from < len(self.prompt.token_ids)
        usage = Usage(
            len(self.prompt.token_ids),
            0 if is_prompt_told else self.told + len(self.written),
            self.cached,
            reasoning_tokens=0 if is_prompt_told else self.answer.reasoning_tokens,
        )
        timings = Timings(
            queued_s=started_at - self.submission.submitted_at,
            prefill_s=first_token_at - started_at,
            decode_s=now - first_token_at,
        )
        return [*map(self.emission, deltas), self.emission(Finished(reason, usage, timings))]

    def failed(self, failure: Failed) -> list[Emission]:
        """What was held back of the text, then the failure."""
        try:
            deltas = self.answer.finish(stopped=False)
        except Exception:
            logger.exception("What was held back of an answer that failed cannot be turned into text.")
            deltas = []
        return [*map(self.emission, deltas), self.emission(failure)]

    def emission(self, event: Event) -> Emission:
        return Emission(self.request_id, event)
