"""The step of the engine on local weights: read the schedule, forward, sample, emit."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.admission import given_tokens, require_runnable
from inference.answer_text import AnswerText
from inference.channels import AnswerOnly
from inference.chat_prompt import PromptRefused
from inference.compute_threads import let_go
from inference.engine_thread import Submission
from inference.events import Alternative, Emission, Failed, FailureCode, FinishReason, Token
from inference.forward_failure import failure_of, isolated_logits
from inference.given_tokens import MEASURED_ROWS, measure
from inference.key_value_slots import Place
from inference.linear_layers import NO_GUESSING
from inference.loaded_model import LoadedModel
from inference.prefix_archive import PrefixArchive
from inference.process_memory import return_freed_memory
from inference.running_request import OVERFLOW_MESSAGE, TOKENIZER_MESSAGE, RunningRequest
from inference.sampler import Choice, SamplingState, choose
from inference.schedule import ReadingPace, guesses_per_writer, share_prefill, up_to_border
from inference.step_plan import Span

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """A request that chooses from `rows` rows of logits; at the first of them it has `computed` positions."""

    request: RunningRequest
    computed: int
    rows: int


class BatchRunner:
    """Implements `engine_thread.Runner` by continuous batching: requests join and leave between steps."""

    def __init__(self, model: LoadedModel, *, max_batch: int, threads: int | None, guesses_ahead: bool = True) -> None:
        self._model = model
        self._guessing = model.forward.guessing if guesses_ahead else NO_GUESSING
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
            self._waiting.append(self._admitted(submission))
        except PromptRefused as refusal:
            return [Emission(submission.request_id, Failed(refusal.code, str(refusal)))]
        return []

    def _admitted(self, submission: Submission) -> RunningRequest:
        model, request = self._model, submission.request
        prompt = model.renderer.render(request)
        beginning = given_tokens(request, model.renderer, model.vocabulary_size)
        require_runnable(model, request, prompt, beginning)
        told_from = 0 if request.score and not beginning else len(prompt.token_ids)
        # What is measured is shown as it is: nothing in it ends it or is thinking.
        stops = () if request.score else request.params.stop
        reader = AnswerOnly() if request.score else model.channel_reader(prompt.token_ids)
        return RunningRequest(
            submission,
            prompt,
            given=(*prompt.token_ids, *beginning),
            told_from=told_from,
            sampling=SamplingState(request.params, prompt.token_ids, sorted(model.end_ids)),
            answer=AnswerText(model.vocabulary, stops, reader),
            limit=min(model.context_length, model.slots.longest),
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
        writers: list[Writer] = []
        chosen_rows: list[int] = []
        end = 0
        for index, (request, span) in enumerate(zip(requests, spans, strict=True)):
            first, end = end, end + span.wanted
            if index in failures:
                continue
            if not request.unread:
                writers.append(Writer(request, span.start + 1, end - first))
                chosen_rows.extend(range(first, end))
                continue
            request.computed = span.end
            emissions += self._tell_given(request, span, rows[first:end])
            if not request.unread and request.request_id in self._running:
                writers.append(Writer(request, span.end, 1))
                chosen_rows.append(end - 1)
        if writers:
            # Rows are as wide as the vocabulary: where all of them choose, none is copied.
            emissions += self._write(writers, rows if len(chosen_rows) == len(rows) else rows[chosen_rows])
        return emissions

    def _start_waiting(self) -> list[Emission]:
        """Give slots in the order of arrival; the first that does not fit keeps its turn."""
        emissions = []
        while self._waiting and len(self._running) < self._max_batch:
            request = self._waiting[0]
            try:
                place = self._model.slots.take(request.positions_wanted)
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
        """Begin behind what is already known of the prompt; what logits are wanted of is computed."""
        asked = request.submission.request
        if self._archive is None or not asked.reuse_prefix:
            return
        known = request.given[: max(0, request.told_from - 1)]
        most = None
        if asked.repeatable:
            most = self._model.forward.invariant_positions if request.adapter is None else 0
        layers, length = self._archive.recall(known, request.adapter, at_most=most)
        if length:
            self._model.slots.write(place, layers, length)
            request.computed = request.cached = length

    def _schedule(self) -> tuple[list[RunningRequest], list[Span]]:
        running = list(self._running.values())
        readers = [request for request in running if request.unread]
        budget = self._pace.tokens(streams=len(running) - len(readers), readers=len(readers))
        shares = share_prefill([request.unread for request in readers], budget=budget)
        pieces = {
            request.request_id: up_to_border(request.computed, share)
            for request, share in zip(readers, shares, strict=True)
        }
        requests, spans = [], []
        measurable = MEASURED_ROWS
        guessed = 0 if readers else guesses_per_writer(len(running), self._guessing.rows)
        for request in running:
            piece = pieces.get(request.request_id, 1)
            if request.place is not None and piece > 0:
                request.propose(guessed, self._guessing.price)
                span = request.span(request.place, piece, measurable)
                requests.append(request)
                spans.append(span)
                measurable -= span.wanted - 1
        return requests, spans

    def _tell_given(self, request: RunningRequest, span: Span, logits: Tensor) -> list[Emission]:
        """Give out what a span says of the given tokens that are part of the answer, or all there is to measure."""
        measured = request.measured_by(span)
        choices: list[Choice | None] = []
        if measured:
            top = request.submission.request.params.top_logprobs
            choices = measure(logits[-span.wanted :][: len(measured)], measured, top)
        emissions: list[Emission] = []
        if request.told_from == 0 and request.told == 0:
            emissions += self._told(request, Choice(request.given[0], None))
        for choice in choices:
            if choice is None:
                return emissions + self._fail(request, Failed(FailureCode.NUMERICAL, OVERFLOW_MESSAGE))
            emissions += self._told(request, choice)
            if request.request_id not in self._running:
                return emissions
        if request.submission.request.score and not request.unread:
            emissions += self.finish(request.request_id, FinishReason.STOP)
        return emissions

    def _write(self, writers: Sequence[Writer], logits: Tensor) -> list[Emission]:
        now = time.monotonic()
        emissions: list[Emission] = []
        choices = iter(choose(logits, [each.request.sampling for each in writers for _ in range(each.rows)]))
        for writer in writers:
            request, proposed = writer.request, writer.request.proposed
            if request.first_token_at is None:
                request.first_token_at = now
            ahead = list(itertools.islice(choices, writer.rows))
            if proposed and None in ahead:
                self._take_back_guess(request)
                continue
            right = sum(1 for _ in itertools.takewhile(_is_right, zip(proposed, ahead, strict=False)))
            if proposed and request.lookup is not None:
                request.lookup.judge(right)
            # Behind a wrong guess, and behind the answer's end, nothing is meant.
            for row, choice in enumerate(ahead[: right + 1]):
                if request.request_id not in self._running:
                    break
                request.computed = writer.computed + row
                if choice is None:
                    emissions += self._fail(request, Failed(FailureCode.NUMERICAL, OVERFLOW_MESSAGE))
                    break
                emissions += self._chosen(request, choice)
        return emissions

    def _take_back_guess(self, request: RunningRequest) -> None:
        """Numbers overflowed, perhaps those of a wrong guess alone: the next step computes the last token by itself."""
        request.may_guess = False
        if request.place is not None:
            self._model.slots.wipe_from(request.place, request.computed)

    def _chosen(self, request: RunningRequest, choice: Choice) -> list[Emission]:
        if choice.token_id in self._model.end_ids:
            return list(self.finish(request.request_id, FinishReason.STOP))
        request.write(choice.token_id)
        emissions = self._show(request, choice)
        if request.request_id in self._running and request.is_full:
            return emissions + list(self.finish(request.request_id, FinishReason.LENGTH))
        return emissions

    def _told(self, request: RunningRequest, choice: Choice) -> list[Emission]:
        if choice.token_id in self._model.end_ids and not request.submission.request.score:
            return list(self.finish(request.request_id, FinishReason.STOP))
        request.told += 1
        request.sampling.note_given(choice.token_id)
        return self._show(request, choice)

    def _show(self, request: RunningRequest, choice: Choice) -> list[Emission]:
        """The deltas that a token completes; a stop string among them ends the request."""
        try:
            deltas, stopped = request.answer.push(self._token(choice))
            emissions = [request.emission(delta) for delta in deltas]
            return emissions + self._end(request, FinishReason.STOP, stopped=True) if stopped else emissions
        except Exception:
            logger.exception("An answer's tokens cannot be turned into text; it ends here.")
            return self._fail(request, Failed(FailureCode.TOKENIZER, TOKENIZER_MESSAGE))

    def _token(self, choice: Choice) -> Token:
        text = self._model.vocabulary.text
        top = tuple(Alternative(token_id, text(token_id), logprob) for token_id, logprob in choice.top)
        return Token(choice.token_id, text(choice.token_id), choice.logprob, top)

    def _fail(self, request: RunningRequest, failure: Failed) -> list[Emission]:
        self._forget(request.request_id, wipe=True)
        return request.failed(failure)

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

    def rest(self) -> None:
        """Let go of the threads that computed, so that those of another engine may spin."""
        let_go()

    def release_memory(self) -> None:
        """Let go of the weights and the slots."""
        if self._archive is not None:
            self._archive.clear()
        self._model.forward.clear()
        self._model.slots.clear()
        let_go()
        return_freed_memory()


def _is_right(guess: tuple[int, Choice | None]) -> bool:
    proposed, choice = guess
    return choice is not None and choice.token_id == proposed
