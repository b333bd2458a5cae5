"""The step of the engine on local weights: read the schedule, forward, sample, emit."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.adapters import AdapterBank
from inference.answer_text import AnswerText
from inference.batch_forward import BatchForward
from inference.channels import ChannelReader
from inference.chat_prompt import Prompt, PromptRefused, PromptRenderer
from inference.detokenizer import Vocabulary
from inference.engine_thread import Submission
from inference.events import Alternative, Emission, Failed, FailureCode, FinishReason, Token
from inference.forward_failure import failure_of, isolated_logits
from inference.key_value_slots import KeyValueSlots, Place
from inference.prefix_archive import PrefixArchive
from inference.process_memory import return_freed_memory
from inference.running_request import RunningRequest
from inference.sampler import Choice, SamplingState, choose
from inference.schedule import ReadingPace, share_prefill
from inference.step_plan import Span

logger = logging.getLogger(__name__)

TOKENIZER_MESSAGE = "The model's tokenizer could not turn its tokens into text, so the answer ended."


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that steps need of a model. `end_ids` end an answer; `context_length` counts positions."""

    forward: BatchForward
    adapters: AdapterBank
    slots: KeyValueSlots
    vocabulary: Vocabulary
    renderer: PromptRenderer
    channel_reader: Callable[[Sequence[int]], ChannelReader]
    end_ids: frozenset[int]
    context_length: int
    vocabulary_size: int
    name: str


class BatchRunner:
    """Implements `engine_thread.Runner` by continuous batching: requests join and leave between steps."""

    def __init__(self, model: LoadedModel, *, max_batch: int, threads: int | None) -> None:
        self._model = model
        self._max_batch = max_batch
        self._threads = threads
        self._waiting: deque[RunningRequest] = deque()
        self._running: dict[str, RunningRequest] = {}
        self._pace = ReadingPace()
        self._archive = PrefixArchive(model.slots) if model.forward.shares_prefixes else None

    def begin(self) -> None:
        # The number of threads is a property of the thread that asks for work.
        if self._threads is not None:
            torch.set_num_threads(self._threads)

    def admit(self, submission: Submission) -> Sequence[Emission]:
        """Render and check a request, and put it in the queue."""
        try:
            prompt = self._model.renderer.render(submission.request)
            self._require_runnable(submission, prompt)
        except PromptRefused as refusal:
            return [Emission(submission.request_id, Failed(refusal.code, str(refusal)))]
        params = submission.request.params
        self._waiting.append(
            RunningRequest(
                submission,
                prompt,
                SamplingState(params, prompt.token_ids, sorted(self._model.end_ids)),
                AnswerText(self._model.vocabulary, params.stop, self._model.channel_reader(prompt.token_ids)),
                limit=min(self._model.context_length, self._model.slots.longest),
            )
        )
        return []

    def _require_runnable(self, submission: Submission, prompt: Prompt) -> None:
        adapter = submission.request.adapter
        if adapter is not None and adapter not in self._model.adapters:
            raise PromptRefused(FailureCode.UNSUPPORTED, f"adapter: {self._model.name} has none called {adapter}.")
        length, context = len(prompt.token_ids), self._model.context_length
        if length >= context:
            raise PromptRefused(
                FailureCode.CONTEXT_EXCEEDED,
                f"The prompt has {length} tokens and {self._model.name} reads at most {context - 1}, answer excluded.",
            )
        if not self._model.slots.fits(length + 1):
            raise PromptRefused(
                FailureCode.OUT_OF_MEMORY,
                f"The prompt has {length} tokens; this server's memory holds {self._model.slots.longest - 1} at most.",
            )
        for token_id in submission.request.params.logit_bias:
            if token_id >= self._model.vocabulary_size:
                raise PromptRefused(
                    FailureCode.UNSUPPORTED,
                    f"logit_bias: token {token_id} is not in the vocabulary of {self._model.vocabulary_size}.",
                )

    @torch.inference_mode()
    def step(self) -> Sequence[Emission]:
        """Advance every running request: one token for each writer, a fair piece of prompt for each reader."""
        emissions = self._start_waiting()
        requests, spans = self._schedule()
        if not requests:
            return emissions
        started_at = time.monotonic()
        rows, failures = isolated_logits(self._model.forward, spans)
        tokens_read = sum(len(span.tokens) for request, span in zip(requests, spans, strict=True) if request.unread)
        self._pace.note(
            seconds=time.monotonic() - started_at,
            tokens_read=tokens_read,
            has_streams=any(not request.unread for request in requests),
        )
        for index, failure in failures.items():
            emissions += self._fail(requests[index], failure)
        self._note_computed(requests, spans, failures)
        writers = [index for index, each in enumerate(requests) if index not in failures and not each.unread]
        if writers:
            emissions += self._write([requests[index] for index in writers], rows[writers])
        return emissions

    def _start_waiting(self) -> list[Emission]:
        """Give slots in the order of arrival; the first that does not fit keeps its turn."""
        emissions = []
        while self._waiting and len(self._running) < self._max_batch:
            request = self._waiting[0]
            wanted = len(request.prompt.token_ids) + request.submission.request.params.max_tokens
            try:
                place = self._model.slots.take(min(wanted, request.limit))
                if place is None:
                    break
                request.place = place
                self._recall(request, place)
            except Exception as error:
                logger.exception("There is no slot for a request; it ends here.")
                emissions += self._fail(request, failure_of(error))
                continue
            self._waiting.popleft()
            self._running[request.request_id] = request
            emissions.append(request.started())
        return emissions

    def _recall(self, request: RunningRequest, place: Place) -> None:
        """Begin behind what is already known of the prompt; its last token is always computed, for its logits."""
        if self._archive is None or not request.submission.request.reuse_prefix:
            return
        layers, length = self._archive.recall(request.prompt.token_ids[:-1], request.adapter)
        if length:
            self._model.slots.write(place, layers, length)
            request.computed = request.cached = length

    def _schedule(self) -> tuple[list[RunningRequest], list[Span]]:
        running = list(self._running.values())
        readers = [request for request in running if request.unread]
        has_streams = len(readers) < len(running)
        budget = self._pace.tokens(has_streams=has_streams)
        shares = share_prefill([request.unread for request in readers], budget=budget)
        pieces = {request.request_id: share for request, share in zip(readers, shares, strict=True)}
        requests, spans = [], []
        for request in running:
            piece = pieces.get(request.request_id, 1)
            if request.place is not None and piece > 0:
                requests.append(request)
                spans.append(request.span(request.place, piece))
        return requests, spans

    def _note_computed(
        self, requests: Sequence[RunningRequest], spans: Sequence[Span], failures: dict[int, Failed]
    ) -> None:
        for index, (request, span) in enumerate(zip(requests, spans, strict=True)):
            if index not in failures:
                request.computed = span.end

    def _write(self, requests: Sequence[RunningRequest], logits: Tensor) -> list[Emission]:
        now = time.monotonic()
        emissions: list[Emission] = []
        choices = choose(logits, [request.sampling for request in requests])
        for request, choice in zip(requests, choices, strict=True):
            if request.first_token_at is None:
                request.first_token_at = now
            if choice is None:
                sentence = "The model's numbers overflowed on this prompt, so there is no next token to choose."
                emissions += self._fail(request, Failed(FailureCode.NUMERICAL, sentence))
            else:
                emissions += self._taken(request, choice)
        return emissions

    def _taken(self, request: RunningRequest, choice: Choice) -> list[Emission]:
        try:
            return self._take(request, choice)
        except Exception:
            logger.exception("An answer's tokens cannot be turned into text; it ends here.")
            return self._fail(request, Failed(FailureCode.TOKENIZER, TOKENIZER_MESSAGE))

    def _take(self, request: RunningRequest, choice: Choice) -> list[Emission]:
        if choice.token_id in self._model.end_ids:
            return list(self.finish(request.request_id, FinishReason.STOP))
        request.output.append(choice.token_id)
        request.sampling.note(choice.token_id)
        deltas, stopped = request.answer.push(self._token(choice))
        emissions = [request.emission(delta) for delta in deltas]
        if stopped:
            return emissions + self._end(request, FinishReason.STOP, stopped=True)
        if request.is_full:
            return emissions + self._end(request, FinishReason.LENGTH)
        return emissions

    def _token(self, choice: Choice) -> Token:
        text = self._model.vocabulary.text
        top = tuple(Alternative(token_id, text(token_id), logprob) for token_id, logprob in choice.top)
        return Token(choice.token_id, text(choice.token_id), choice.logprob, top)

    def _fail(self, request: RunningRequest, failure: Failed) -> list[Emission]:
        self._forget(request.request_id, wipe=True)
        return [Emission(request.request_id, failure)]

    def _end(self, request: RunningRequest, reason: FinishReason, *, stopped: bool = False) -> list[Emission]:
        if self._archive is not None and request.place is not None:
            self._archive.store(request.place, request.computed_tokens, request.adapter)
        self.drop(request.request_id)
        return request.finished(reason, stopped=stopped)

    def finish(self, request_id: str, reason: FinishReason) -> Sequence[Emission]:
        """End a request now, whether it runs or waits."""
        request = self._find(request_id)
        if request is None:
            return []
        try:
            return self._end(request, reason)
        except Exception:
            logger.exception("An answer's last tokens cannot be turned into text; it ends here.")
            return self._fail(request, Failed(FailureCode.TOKENIZER, TOKENIZER_MESSAGE))

    def drop(self, request_id: str) -> None:
        """Forget a request and free its slot."""
        self._forget(request_id, wipe=False)

    def _forget(self, request_id: str, *, wipe: bool) -> None:
        request = self._find(request_id)
        if request is None:
            return
        self._running.pop(request_id, None)
        if request in self._waiting:
            self._waiting.remove(request)
        place, request.place = request.place, None
        if place is not None:
            self._model.forward.forget(place)
            self._model.slots.give_back(place, wipe=wipe)

    def _find(self, request_id: str) -> RunningRequest | None:
        waiting = (each for each in self._waiting if each.request_id == request_id)
        return self._running.get(request_id) or next(waiting, None)

    def waiting(self) -> Iterable[str]:
        """The requests without a slot."""
        return [request.request_id for request in self._waiting]

    def release_memory(self) -> None:
        """Let go of the weights and the slots."""
        if self._archive is not None:
            self._archive.clear()
        self._model.forward.clear()
        self._model.slots.clear()
        return_freed_memory()
