"""An engine without weights whose every token is the moment at which it was made, for benchmarks.viewers."""

from __future__ import annotations

import time
from collections.abc import Iterator

from inference.engine import Engine, GenerationRequest, Listener
from inference.events import Delta, Token
from inference.scripted import ScriptedEngine
from portal.catalog.models import Variant


def clock_engine(variant: Variant, listener: Listener) -> Engine:
    """`facts` say how many seconds there are between two tokens; a prompt says how many tokens."""
    return ScriptedEngine(listener, respond=_tell_the_time, step_s=variant.facts["step_s"])


def _tell_the_time(request: GenerationRequest) -> Iterator[Delta]:
    for number in range(int(request.messages[-1].content)):
        text = f"{time.time():.6f} "
        yield Delta(text, tokens=(Token(id=number, text=text, logprob=-0.5),))
