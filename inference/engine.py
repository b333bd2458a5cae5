"""The one interface between whoever wants text and whatever makes it: local weights, an upstream, or a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from inference.events import Emission
from inference.sampling_params import SamplingParams

Role = Literal["system", "user", "assistant"]

Listener = Callable[[Sequence[Emission]], None]
"""Called once per step, from the engine's own thread, with everything that the step produced for all requests."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What to continue and how. `deadline_s` counts seconds from submission, None is no deadline.

    Without `reuse_prefix` the whole prompt is computed anew. In bfloat16 a remembered prefix may differ in its last
    digits from one computed now. A `repeatable` request, one that is seeded or greedy and alone, comes out exactly the
    same every time: of what is remembered it takes only what would be computed again to the last digit.
    `completion` continues the joined contents as plain text, without the model's chat template.
    `adapter` is the name of an adapter that was attached to the engine's weights, None for the weights alone.
    `answer_prefix` is how the answer begins, as text or as exact tokens: it follows the chat template's header, comes
    out as the answer's first deltas with the log-probabilities that the model gives it, and the model goes on from
    there. `max_tokens` and `min_tokens` count what the model adds; penalties and stop strings see the whole answer. A
    seeded run that is given its own first tokens goes on as it did.
    `score` measures a text instead of continuing it: the deltas hold its tokens with their log-probabilities (and
    `top_logprobs` alternatives), then comes Finished(stop). Measured is `answer_prefix` behind the prompt, or, without
    one, the prompt itself, whose first token has no log-probability.
    An engine that cannot do what a field asks for fails the request with `unsupported` and the field's name.
    """

    request_id: str
    messages: tuple[Message, ...]
    params: SamplingParams
    deadline_s: float | None = None
    reuse_prefix: bool = True
    repeatable: bool = False
    completion: bool = False
    adapter: str | None = None
    answer_prefix: str | tuple[int, ...] = ""
    score: bool = False

    def __post_init__(self) -> None:
        if not self.messages:
            raise ValueError("messages: must hold at least one message")
        if self.deadline_s is not None and self.deadline_s <= 0:
            raise ValueError("deadline_s: must be above 0")
        if not isinstance(self.answer_prefix, str | tuple):
            raise TypeError("answer_prefix: must be a text or a tuple of token ids")


class EngineClosed(RuntimeError):
    """The engine takes no more requests."""


class Engine(Protocol):
    """Runs many requests at once and reports through the listener given at construction.

    Every accepted request ends with exactly one terminal event. All methods may be called from any thread and
    return at once, except `close`.
    """

    def submit(self, request: GenerationRequest) -> None:
        """Take a request. Raises EngineClosed, or ValueError when `request_id` is already running."""

    def cancel(self, request_id: str) -> None:
        """End a request after the current step, as Finished(cancelled). Unknown ids are ignored: it may have ended."""

    def close(self, grace_s: float) -> None:
        """Refuse new requests, let running ones end for `grace_s` seconds, release the others, stop the thread."""

    def provenance(self) -> dict[str, object]:
        """What is needed to repeat a run: weight digests, chat-template digest, dtype, library versions."""
