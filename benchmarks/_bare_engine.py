"""A worker's engine without the portal around it, driven over pipes: the other side of portal_throughput.

Started as `python -m benchmarks._bare_engine OWNER/CARD:VARIANT` with an installation's STEELYARD_HOME; builds the
variant's engine exactly as a worker does. Each line on stdin is a JSON object {prompts, tokens}. Each line on stdout,
after "ready", tells when each request's first token came and when all had ended, in seconds from the line's arrival.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence

import django
from django.conf import settings
from django.utils.module_loading import import_string

from inference.engine import GenerationRequest, Message
from inference.events import Delta, Emission, Failed, Finished
from inference.sampling_params import SamplingParams


class Stopwatch:
    """Notes each request's first token, and when the last request has ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._first: dict[str, float] = {}
        self._ended: dict[str, int] = {}

    def __call__(self, emissions: Sequence[Emission]) -> None:
        now = time.perf_counter()
        with self._changed:
            for emission in emissions:
                match emission.event:
                    case Delta():
                        self._first.setdefault(emission.request_id, now)
                    case Finished():
                        self._ended[emission.request_id] = emission.event.usage.completion_tokens
                    case Failed():
                        raise RuntimeError(emission.event.message)
            self._changed.notify_all()

    def wait_for(self, count: int) -> tuple[list[float], int, float]:
        """Moments of the first tokens, tokens of all, the moment of the end; and begin anew."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._ended) >= count, timeout=600):
                raise TimeoutError("the engine did not finish within ten minutes")
            result = list(self._first.values()), sum(self._ended.values()), time.perf_counter()
            self._first, self._ended = {}, {}
            return result


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    # Models can be imported only now.
    from portal.catalog.queries import get_variant_by_model_id  # noqa: PLC0415

    variant = get_variant_by_model_id(sys.argv[1])
    assert variant is not None, f"{sys.argv[1]} does not run here"
    stopwatch = Stopwatch()
    engine = import_string(settings.ENGINE_BACKENDS[variant.backend])(variant, stopwatch)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        order = json.loads(line)
        params = SamplingParams(temperature=0, max_tokens=order["tokens"], min_tokens=order["tokens"])
        for number, prompt in enumerate(order["prompts"]):
            messages = (Message("user", prompt),)
            # As the portal has it for a first turn.
            request = GenerationRequest(request_id=f"r{number}", messages=messages, params=params, repeatable=True)
            engine.submit(request)
        first, tokens, ended = stopwatch.wait_for(len(order["prompts"]))
        answer = {"first_s": [moment - began for moment in first], "tokens": tokens, "seconds": ended - began}
        print(json.dumps(answer), flush=True)
    engine.close(0)


if __name__ == "__main__":
    main()
