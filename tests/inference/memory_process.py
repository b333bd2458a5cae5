"""Run in a process of its own: load an engine, fill its keys and values, and print what was foretold and what was."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import inference.transformers_engine as engine_module
from inference.engine import GenerationRequest, Message
from inference.events import TERMINAL_EVENTS, Emission
from inference.sampling_params import SamplingParams


def _kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _measured(field: str) -> int:
    return _kibibytes(field) * 1024


def main(folder: Path, dtype: str, positions: int, requests: int) -> None:
    before = _measured("VmRSS")
    need = engine_module.estimate_memory(folder, dtype=dtype, max_batch=requests, kv_budget_tokens=positions)
    ended = threading.Semaphore(0)

    def listener(emissions: Sequence[Emission]) -> None:
        for each in emissions:
            if isinstance(each.event, TERMINAL_EVENTS):
                ended.release()

    engine = engine_module.load_engine(
        folder, listener=listener, dtype=dtype, max_batch=requests, kv_budget_tokens=positions, threads=2
    )
    loaded = _measured("VmRSS")
    params = SamplingParams(temperature=0, max_tokens=8, min_tokens=8)
    text = "sea " * (positions // requests - 60)
    for number in range(requests):
        messages = (Message("user", f"{number} {text}"),)
        engine.submit(GenerationRequest(request_id=str(number), messages=messages, params=params))
    for _ in range(requests):
        ended.acquire()
    running = _measured("VmRSS")
    peak = _measured("VmHWM")
    engine.close(0)
    closed = _measured("VmRSS")
    measured = {"loaded": loaded, "running": running, "peak": peak, "closed": closed}
    foretold = {"peak": need.peak, "running": need.running, "attending": need.attending}
    sys.stdout.write(json.dumps({"before": before, "measured": measured, "foretold": foretold}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
