"""An engine without weights, for tests: a script says what each request answers, one delta per step."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from inference.engine import GenerationRequest, Listener
from inference.engine_thread import EngineThread, Submission
from inference.events import (
    Channel,
    Delta,
    Emission,
    Failed,
    FailureCode,
    Finished,
    FinishReason,
    Started,
    Timings,
    Token,
    Usage,
)

Script = Callable[[GenerationRequest], Iterable[Delta | Failed]]


def word_deltas(text: str) -> tuple[Delta, ...]:
    """The text as one delta and one token per word, whitespace kept; ids count from 1, each logprob is -1."""
    pieces = re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)
    return tuple(
        Delta(piece, tokens=(Token(id=number, text=piece, logprob=-1.0),)) for number, piece in enumerate(pieces, 1)
    )


def _given(request: GenerationRequest) -> tuple[Delta, ...]:
    beginning = request.answer_prefix
    if beginning and not isinstance(beginning, str):
        return tuple(Delta(f"[{each}]", tokens=(Token(each, f"[{each}]", -1.0),)) for each in beginning)
    if beginning or not request.score:
        return word_deltas(str(beginning) if beginning else "")
    first, *rest = word_deltas("".join(message.content for message in request.messages))
    return (replace(first, tokens=(replace(first.tokens[0], logprob=None),)), *rest)


class ScriptedEngine(EngineThread):
    """Answers each request with the deltas that `respond(request)` yields, `step_s` seconds apart.

    A delta counts its tokens, or one if it has none, towards `max_tokens`; the answer stops where the script does,
    fails where it yields Failed, and an exception in the script is Failed(internal) for that request alone. All
    requests run at once; cancel, deadline and close work as in every engine. A given beginning of the answer comes
    word by word before the script's own, and a text to score instead of it.
    """

    def __init__(self, listener: Listener, *, respond: Script, step_s: float = 0.0) -> None:
        super().__init__(listener, _ScriptRunner(respond, step_s), provenance=lambda: {"engine": "scripted"})


@dataclass(slots=True)
class _Run:
    submission: Submission
    script: Iterator[Delta | Failed]
    prompt_tokens: int
    started_at: float = field(default_factory=time.monotonic)
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    given: list[Delta] = field(default_factory=list)
    written_tokens: int = 0

    def finished(self, reason: FinishReason) -> Emission:
        now = time.monotonic()
        usage = Usage(self.prompt_tokens, self.completion_tokens, reasoning_tokens=self.reasoning_tokens)
        timings = Timings(
            queued_s=self.started_at - self.submission.submitted_at, prefill_s=0.0, decode_s=now - self.started_at
        )
        return Emission(self.submission.request_id, Finished(reason, usage, timings))


class _ScriptRunner:
    def __init__(self, respond: Script, step_s: float) -> None:
        self._respond = respond
        self._step_s = step_s
        self._runs: dict[str, _Run] = {}

    def begin(self) -> None:
        pass

    def admit(self, submission: Submission) -> Sequence[Emission]:
        messages = submission.request.messages
        rendered = "\n".join(f"{message.role}: {message.content}" for message in messages)
        prompt_tokens = sum(len(message.content.split()) for message in messages)
        script = iter(()) if submission.request.score else self._lazily(submission.request)
        run = _Run(submission, script, prompt_tokens, given=list(_given(submission.request)))
        self._runs[submission.request_id] = run
        return [Emission(submission.request_id, Started(prompt_tokens, rendered))]

    def _lazily(self, request: GenerationRequest) -> Iterator[Delta | Failed]:
        # A generator, so that an error in `respond` itself also appears at the first step of that request.
        yield from self._respond(request)

    def step(self) -> Sequence[Emission]:
        if self._step_s > 0:
            time.sleep(self._step_s)
        return list(itertools.chain.from_iterable(self._advance(run) for run in list(self._runs.values())))

    def _advance(self, run: _Run) -> list[Emission]:
        request = run.submission.request
        if run.given:
            return [self._tell_given(run, run.given.pop(0))]
        try:
            item = next(run.script, None)
        except Exception as error:  # noqa: BLE001 - any error of the script is that request's failure
            item = Failed(FailureCode.INTERNAL, f"The script failed: {error}")
        if item is None:
            return list(self.finish(request.request_id, FinishReason.STOP))
        emission = Emission(request.request_id, item)
        if isinstance(item, Failed):
            self.drop(request.request_id)
            return [emission]
        run.completion_tokens += max(1, len(item.tokens))
        if item.channel is Channel.THINKING:
            run.reasoning_tokens += max(1, len(item.tokens))
        run.written_tokens += max(1, len(item.tokens))
        if run.written_tokens >= request.params.max_tokens:
            return [emission, *self.finish(request.request_id, FinishReason.LENGTH)]
        return [emission]

    def _tell_given(self, run: _Run, delta: Delta) -> Emission:
        request = run.submission.request
        if request.answer_prefix:
            run.completion_tokens += len(delta.tokens)
        return Emission(request.request_id, delta)

    def finish(self, request_id: str, reason: FinishReason) -> Sequence[Emission]:
        run = self._runs.pop(request_id, None)
        return [] if run is None else [run.finished(reason)]

    def drop(self, request_id: str) -> None:
        self._runs.pop(request_id, None)

    def waiting(self) -> Iterable[str]:
        return ()

    def rest(self) -> None:
        pass

    def release_memory(self) -> None:
        self._runs.clear()
