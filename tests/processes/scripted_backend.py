"""The engine of the process tests: counts, so that a missing, doubled or mixed-up token shows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from inference.engine import Engine, GenerationRequest, Listener
from inference.events import Channel, Delta, Failed, FailureCode, Token
from inference.scripted import ScriptedEngine
from portal.catalog.models import Variant


def counted(number: int) -> str:
    """The whole answer to "count to <number>"."""
    return "".join(f"{each} " for each in range(1, number + 1))


def scripted_engine(variant: Variant, listener: Listener) -> Engine:
    """`facts` say how many seconds the engine takes to build, if any, and how many a number takes."""
    time.sleep(variant.facts.get("build_s", 0))
    return ScriptedEngine(listener, respond=_count, step_s=variant.facts["step_s"])


def _count(request: GenerationRequest) -> Iterator[Delta | Failed]:
    if request.messages[-1].content == "count too far":
        # No JSON number that the stream's events take.
        yield from [Delta("far ", tokens=(Token(id=2**64, text="far ", logprob=-0.5),))] * 1000
    wanted = re.fullmatch(r"(?:think (\d+) and )?count to (\d+)", request.messages[-1].content)
    if wanted is None:
        yield Failed(FailureCode.UNSUPPORTED, "This engine can only count.")
        return
    for _each in range(int(wanted[1] or 0)):
        yield Delta("hm ", Channel.THINKING, (Token(id=1, text="hm ", logprob=-0.5),))
    for each in range(1, int(wanted[2]) + 1):
        yield Delta(f"{each} ", tokens=(Token(id=each, text=f"{each} ", logprob=-0.5),))
