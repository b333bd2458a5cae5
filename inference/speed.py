"""How fast an engine is on this machine: tokens per second at several batch sizes, and in reading a prompt."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from inference.engine import Engine, GenerationRequest, Listener, Message
from inference.events import TERMINAL_EVENTS, Delta, Emission, Failed, Finished, Started
from inference.sampling_params import SamplingParams

BATCHES: Final = (1, 8)
NEW_TOKENS: Final = 64
REPETITIONS: Final = 3
PATIENCE_S: Final = 300.0
PROMPT: Final = "Tell me about the sea, its tides and those who live by it."
# About 500 tokens in most vocabularies; how many they were is told.
LONG_PROMPT: Final = " ".join([PROMPT] * 32)


class CannotMeasure(RuntimeError):
    """A run failed or took too long; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians of `repetitions`.

    tokens_per_s: by the number of answers written at once, all together, from when the last of them had begun.
    prefill_tokens_per_s: reading a prompt of `prompt_tokens` tokens anew, alone; None where they are not told.
    first_token_s: from sending a short prompt to its first token, alone.
    """

    tokens_per_s: dict[str, float]
    prefill_tokens_per_s: float | None
    prompt_tokens: int
    first_token_s: float
    new_tokens: int
    repetitions: int


@dataclass(slots=True)
class _Watch:
    """When each token of each request came."""

    takes_min_tokens: bool
    moments: dict[str, list[float]] = field(default_factory=dict)
    prompt_tokens: int = 0
    ended: set[str] = field(default_factory=set)
    failure: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, emissions: Sequence[Emission]) -> None:
        now = time.perf_counter()
        with self.changed:
            for emission in emissions:
                event = emission.event
                if isinstance(event, Delta):
                    self.moments.setdefault(emission.request_id, []).extend([now] * max(1, len(event.tokens)))
                elif isinstance(event, Started):
                    self.prompt_tokens = event.prompt_tokens or self.prompt_tokens
                elif isinstance(event, Finished):
                    self.prompt_tokens = event.usage.prompt_tokens or self.prompt_tokens
                elif isinstance(event, Failed):
                    self.failure = event.message
                if isinstance(event, TERMINAL_EVENTS):
                    self.ended.add(emission.request_id)
            self.changed.notify_all()


def measure_speed(
    make_engine: Callable[[Listener], Engine],
    *,
    new_tokens: int = NEW_TOKENS,
    repetitions: int = REPETITIONS,
    takes_min_tokens: bool = True,
    on_progress: Callable[[float, str], None] = lambda _share, _stage: None,
) -> Speed:
    """Make the engine, measure it, close it. Raises CannotMeasure, and whatever making it raises.

    Where an upstream does not take `min_tokens`, answers may end early, which shortens the time that is measured.
    """
    watch = _Watch(takes_min_tokens)
    engine = make_engine(watch)
    try:
        _run(engine, watch, PROMPT, count=1, tokens=8)  # what is set up at the first use
        tokens_per_s: dict[str, float] = {}
        firsts: list[float] = []
        for done, batch in enumerate(BATCHES):
            on_progress(done / (len(BATCHES) + 1), f"writing {batch} at once")
            rates = []
            for _ in range(repetitions):
                began = time.perf_counter()
                moments = _run(engine, watch, PROMPT, count=batch, tokens=new_tokens)
                rates.append(_rate(moments))
                if batch == 1:
                    firsts.append(moments[0][0] - began)
            tokens_per_s[str(batch)] = round(statistics.median(rates), 1)
        on_progress(len(BATCHES) / (len(BATCHES) + 1), "reading a prompt")
        reads = []
        for _ in range(repetitions):
            began = time.perf_counter()
            moments = _run(engine, watch, LONG_PROMPT, count=1, tokens=1)
            reads.append(moments[0][0] - began)
        length = watch.prompt_tokens
    finally:
        engine.close(0)
    return Speed(
        tokens_per_s=tokens_per_s,
        prefill_tokens_per_s=round(length / statistics.median(reads), 1) if length else None,
        prompt_tokens=length,
        first_token_s=round(statistics.median(firsts), 4),
        new_tokens=new_tokens,
        repetitions=repetitions,
    )


def _run(engine: Engine, watch: _Watch, prompt: str, *, count: int, tokens: int) -> list[list[float]]:
    with watch.changed:
        watch.moments.clear()
        watch.ended.clear()
    params = SamplingParams(temperature=0, max_tokens=tokens)
    if watch.takes_min_tokens:
        # Sampled, since what is forced on behind its end repeats itself, and would be guessed ahead.
        params = replace(params, temperature=1, seed=0, min_tokens=tokens)
    for number in range(count):
        message = Message("user", f"{number + 1}. {prompt}")
        engine.submit(
            GenerationRequest(
                request_id=f"measured-{number}",
                messages=(message,),
                params=params,
                reuse_prefix=False,
                deadline_s=PATIENCE_S,
            )
        )
    with watch.changed:
        if not watch.changed.wait_for(lambda: len(watch.ended) == count or bool(watch.failure), PATIENCE_S):
            raise CannotMeasure(f"{count} answers took longer than {PATIENCE_S:.0f} s.")
        if watch.failure:
            raise CannotMeasure(f"An answer failed: {watch.failure}")
        if len(watch.moments) < count:
            raise CannotMeasure("An answer came without a token.")
        return list(watch.moments.values())


def _rate(moments: list[list[float]]) -> float:
    """Tokens per second while all are written: from the last one's first token to the first one's last."""
    begin, end = max(each[0] for each in moments), min(each[-1] for each in moments)
    if end <= begin:
        raise CannotMeasure("The answers are too short to measure.")
    return sum(begin < moment <= end for each in moments for moment in each) / (end - begin)
