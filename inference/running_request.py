"""One request while it is in the engine: what it has read, what it has written, and when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.answer_text import AnswerText
from inference.chat_prompt import Prompt
from inference.engine_thread import Submission
from inference.events import Delta, Emission, Finished, FinishReason, Started, Timings, Usage
from inference.key_value_slots import Place
from inference.sampler import SamplingState
from inference.step_plan import Span


@dataclass(slots=True, eq=False)
class RunningRequest:
    """`limit` is the number of positions that prompt and answer may take together."""

    submission: Submission
    prompt: Prompt
    sampling: SamplingState
    answer: AnswerText
    limit: int
    place: Place | None = None
    computed: int = 0
    cached: int = 0
    output: list[int] = field(default_factory=list)
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
        """Prompt tokens still to be computed."""
        return max(0, len(self.prompt.token_ids) - self.computed)

    @property
    def is_full(self) -> bool:
        """Whether the answer has no room for another token."""
        written = len(self.output)
        return written >= self.submission.request.params.max_tokens or self.length >= self.limit

    @property
    def length(self) -> int:
        """Positions of prompt and answer."""
        return len(self.prompt.token_ids) + len(self.output)

    @property
    def computed_tokens(self) -> list[int]:
        """The tokens whose keys and values are in the slot."""
        return [*self.prompt.token_ids, *self.output][: self.computed]

    def span(self, place: Place, prompt_tokens: int) -> Span:
        """The next step's share: a piece of the prompt, or the last token of the answer."""
        if self.unread:
            tokens: Sequence[int] = self.prompt.token_ids[self.computed : self.computed + prompt_tokens]
        else:
            tokens = self.output[-1:]
        return Span(place, self.computed, tokens, self.adapter)

    def started(self) -> Emission:
        """The request has its slot."""
        self.started_at = time.monotonic()
        return self.emission(Started(len(self.prompt.token_ids), self.prompt.text))

    def finished(self, reason: FinishReason, *, stopped: bool = False) -> list[Emission]:
        """What was held back of the text, then the end."""
        now = time.monotonic()
        started_at = now if self.started_at is None else self.started_at
        first_token_at = now if self.first_token_at is None else self.first_token_at
        usage = Usage(len(self.prompt.token_ids), len(self.output), self.cached)
        timings = Timings(
            queued_s=started_at - self.submission.submitted_at,
            prefill_s=first_token_at - started_at,
            decode_s=now - first_token_at,
        )
        deltas = self.answer.finish(stopped=stopped)
        return [*map(self.emission, deltas), self.emission(Finished(reason, usage, timings))]

    def emission(self, event: Started | Delta | Finished) -> Emission:
        return Emission(self.request_id, event)
