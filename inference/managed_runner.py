"""What the engine's thread does around transformers' ContinuousBatchingManager: requests in, choices out, ends told."""

from __future__ import annotations

import itertools
import logging
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference.admission import given_tokens, require_biased_tokens
from inference.answer_text import AnswerText
from inference.channels import ChannelReader
from inference.chat_prompt import PromptRefused, PromptRenderer
from inference.detokenizer import Vocabulary
from inference.engine import GenerationRequest
from inference.engine_thread import Submission
from inference.events import Alternative, Emission, Failed, FailureCode, FinishReason, Token
from inference.forward_failure import failure_of
from inference.manager_sampling import ManagerSampling
from inference.running_request import OVERFLOW_MESSAGE, TOKENIZER_MESSAGE, RunningRequest
from inference.sampler import Choice, SamplingState

logger = logging.getLogger(__name__)

# How long a look at the inbox may wait for the manager's next token.
LOOK_S: Final = 0.02
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ManagedModel:
    """A model that a manager runs, with everything that goes with it."""

    make_manager: Callable[[], Any]
    vocabulary: Vocabulary
    renderer: PromptRenderer
    channel_reader: Callable[[Sequence[int]], ChannelReader]
    end_ids: frozenset[int]
    context_length: int
    vocabulary_size: int
    name: str


class ManagedRunner:
    """Implements `engine_thread.Runner`.

    A manager whose step fails ends all its requests. Here they begin again in a new one, each from its last token:
    first every one alone until it gets its next token, so that only the one fails that cannot be computed.
    """

    def __init__(self, model: ManagedModel) -> None:
        self._model = model
        self._sampling = ManagerSampling()
        self._manager: Any = None
        self._requests: dict[str, RunningRequest] = {}  # by the key that the manager knows them by
        self._suspects: list[str] = []
        self._on_probation: str | None = None
        self._numbers = itertools.count()

    def begin(self) -> None:
        """Start the manager."""
        self._start_manager()

    def admit(self, submission: Submission) -> Sequence[Emission]:
        """Render and check a request, and hand it to the manager."""
        try:
            request = self._admitted(submission)
        except PromptRefused as refusal:
            return [Emission(submission.request_id, Failed(refusal.code, str(refusal)))]
        # A name may come again while the manager still clears up behind it.
        key = f"{next(self._numbers)} {submission.request_id}"
        self._requests[key] = request
        if self._on_probation is None:
            self._hand_over(key)
        else:
            self._suspects.append(key)
        return []

    def _admitted(self, submission: Submission) -> RunningRequest:
        model, request = self._model, submission.request
        _require_supported(model, request)
        prompt = model.renderer.render(request)
        beginning = given_tokens(request, model.renderer, model.vocabulary_size)
        length = len(prompt.token_ids) + len(beginning)
        if length >= model.context_length:
            raise PromptRefused(
                FailureCode.CONTEXT_EXCEEDED,
                f"The prompt has {length} tokens and {model.name} reads at most {model.context_length - 1} here, "
                "answer excluded.",
            )
        sampling = SamplingState(request.params, prompt.token_ids, sorted(model.end_ids))
        for token_id in beginning:
            sampling.note_given(token_id)
        return RunningRequest(
            submission,
            prompt,
            given=(*prompt.token_ids, *beginning),
            told_from=len(prompt.token_ids),
            sampling=sampling,
            answer=AnswerText(model.vocabulary, request.params.stop, model.channel_reader(prompt.token_ids)),
            limit=model.context_length,
        )

    def step(self) -> Sequence[Emission]:
        """Take what the manager has chosen since the last look."""
        emissions = self._take_choices()
        emissions += self._newly_begun()
        error = self._manager_error()
        return emissions if error is None else emissions + self._begin_again(error)

    def _take_choices(self) -> list[Emission]:
        emissions: list[Emission] = []
        for key, choice in self._choices():
            request = self._requests.get(key)
            if request is not None:
                emissions += self._begun(request)
                emissions += self._chosen(key, request, choice)
            if key == self._on_probation:
                self._acquit()
        return emissions

    def _choices(self) -> list[tuple[str, Choice | None]]:
        found: list[tuple[str, Choice | None]] = []
        try:
            found.append(self._sampling.choices.get(timeout=LOOK_S))
            while True:
                found.append(self._sampling.choices.get_nowait())
        except queue.Empty:
            return found

    # --- One request

    def _newly_begun(self) -> list[Emission]:
        """Those that the manager has begun to read."""
        processor = self._manager.batch_processor
        active = processor.scheduler.active_requests if processor is not None else {}
        waiting = [(key, each) for key, each in self._requests.items() if each.started_at is None]
        return [emission for key, request in waiting if key in active for emission in self._begun(request)]

    def _begun(self, request: RunningRequest) -> list[Emission]:
        """Started, and the given beginning of the answer; its probabilities are not known here."""
        if request.started_at is not None:
            return []
        emissions = [request.started()]
        for token_id in request.given[request.told_from :]:
            key = self._key(request.request_id)
            if key is None:  # a stop string has ended it
                break
            if token_id in self._model.end_ids:
                return emissions + self._end(key, FinishReason.STOP)
            request.told += 1
            emissions += self._show(key, request, Choice(token_id, None))
        return emissions

    def _chosen(self, key: str, request: RunningRequest, choice: Choice | None) -> list[Emission]:
        if key not in self._requests:  # a stop string in its beginning has ended it
            return []
        if request.first_token_at is None:
            request.first_token_at = time.monotonic()
        if choice is None:
            return self._fail(key, Failed(FailureCode.NUMERICAL, OVERFLOW_MESSAGE))
        if choice.token_id in self._model.end_ids:
            return self._end(key, FinishReason.STOP)
        request.written.append(choice.token_id)
        emissions = self._show(key, request, choice)
        if key in self._requests and request.is_full:
            emissions += self._end(key, FinishReason.LENGTH)
        return emissions

    def _show(self, key: str, request: RunningRequest, choice: Choice) -> list[Emission]:
        try:
            deltas, stopped = request.answer.push(self._token(choice))
            emissions = [request.emission(delta) for delta in deltas]
            return emissions + self._end(key, FinishReason.STOP, stopped=True) if stopped else emissions
        except Exception:
            logger.exception("An answer's tokens cannot be turned into text; it ends here.")
            return self._fail(key, Failed(FailureCode.TOKENIZER, TOKENIZER_MESSAGE))

    def _token(self, choice: Choice) -> Token:
        text = self._model.vocabulary.text
        top = tuple(Alternative(token_id, text(token_id), logprob) for token_id, logprob in choice.top)
        return Token(choice.token_id, text(choice.token_id), choice.logprob, top)

    def _end(self, key: str, reason: FinishReason, *, stopped: bool = False) -> list[Emission]:
        request = self._requests[key]
        self._forget(key)
        return request.finished(reason, stopped=stopped)

    def _fail(self, key: str, failure: Failed) -> list[Emission]:
        request = self._requests[key]
        self._forget(key)
        return request.failed(failure)

    def finish(self, request_id: str, reason: FinishReason) -> Sequence[Emission]:
        """End a request now, whether the manager runs it or not."""
        key = self._key(request_id)
        if key is None:
            return []
        try:
            return self._end(key, reason)
        except Exception:
            logger.exception("An answer's last tokens cannot be turned into text; it ends here.")
            return [Emission(request_id, Failed(FailureCode.TOKENIZER, TOKENIZER_MESSAGE))]

    def drop(self, request_id: str) -> None:
        """Forget a request and take it from the manager."""
        key = self._key(request_id)
        if key is not None:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._requests.pop(key, None)
        self._sampling.forget(key)
        self._manager.cancel_request(key)
        if key in self._suspects:
            self._suspects.remove(key)
        if key == self._on_probation:
            self._acquit()

    def _key(self, request_id: str) -> str | None:
        return next((key for key, each in self._requests.items() if each.request_id == request_id), None)

    def waiting(self) -> Iterable[str]:
        """The requests that the manager has not begun."""
        return [each.request_id for each in self._requests.values() if each.started_at is None]

    # --- The manager

    def _start_manager(self) -> None:
        manager = self._model.make_manager()
        processors = manager.logit_processor
        processors.logits_processor.append(self._sampling)
        processors.tensors_required += 1
        processors.do_processing = True
        manager.start()
        self._manager = manager

    def _hand_over(self, key: str) -> None:
        request = self._requests[key]
        self._sampling.expect(key, request.sampling)
        left = request.submission.request.params.max_tokens - len(request.written)
        self._manager.add_request(
            [*request.given, *request.written],
            request_id=key,
            max_new_tokens=min(left, request.limit - request.length),
            eos_token_id=sorted(self._model.end_ids) or -1,
        )

    def _manager_error(self) -> Exception | None:
        """Why the manager has stopped; None while it runs."""
        error = self._manager.background_thread_status.fatal_error
        if error is None and self._manager.is_running():
            return None
        return error if isinstance(error, Exception) else RuntimeError("the manager's thread has ended")

    def _begin_again(self, error: Exception) -> list[Emission]:
        emissions = self._take_choices()  # those that it made before
        handed_over = [key for key in self._requests if key not in self._suspects]
        logger.error("The manager stopped with %d requests inside; they begin again.", len(handed_over), exc_info=error)
        self._stop_manager()
        self._start_manager()
        self._suspects = [*reversed(handed_over), *self._suspects]
        self._on_probation = None
        if len(handed_over) == 1:
            emissions += self._fail(handed_over[0], failure_of(error))
        if self._on_probation is None:
            self._acquit()
        return emissions

    def _acquit(self) -> None:
        """Whoever was computed alone goes on; the next suspect joins, and after the last one everybody may."""
        self._on_probation = self._suspects.pop(0) if self._suspects else None
        if self._on_probation is not None:
            self._hand_over(self._on_probation)

    def _stop_manager(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.stop(block=True, timeout=STOP_S, hard_stop=True)
            manager.destroy()

    def rest(self) -> None:
        """The manager's own thread rests by itself."""

    def release_memory(self) -> None:
        """Stop the manager and let go of the weights."""
        self._stop_manager()
        self._requests.clear()


def _require_supported(model: ManagedModel, request: GenerationRequest) -> None:
    if request.adapter is not None:
        raise PromptRefused(FailureCode.UNSUPPORTED, f"adapter: {model.name} carries no adapters on this device.")
    if request.score:
        raise PromptRefused(FailureCode.UNSUPPORTED, "score: the engine of this device tells no given text's figures.")
    require_biased_tokens(request, model.vocabulary_size)
