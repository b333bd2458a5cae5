"""Run in a process of its own: load an engine, fill its keys and values, and print what was foretold and what was."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import torch

import inference.transformers_engine as engine_module
from inference.compute_threads import helped_by_crew
from inference.engine import GenerationRequest, Message
from inference.events import TERMINAL_EVENTS, Emission
from inference.linear_layers import Int8Linear, NativeLinear, bfloat16_maker
from inference.sampling_params import SamplingParams

REQUESTS = 8


def _kibibytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _measured(field: str) -> int:
    return _kibibytes(field) * 1024


def _compile_products() -> None:
    """Where products are native, compiling takes memory once per installation, not once per engine."""
    if bfloat16_maker() is not NativeLinear:
        return
    rows = torch.zeros(3, 32, dtype=torch.bfloat16)
    with helped_by_crew(wanted=True):
        for make_linear in (bfloat16_maker(), Int8Linear):
            make_linear(torch.ones(2, 32, dtype=torch.bfloat16), None)(rows)


def main(folder: Path, dtype: str, positions: int) -> None:
    _compile_products()
    before = _measured("VmRSS")
    need = engine_module.estimate_memory(folder, dtype=dtype, max_batch=REQUESTS, kv_budget_tokens=positions)
    ended = threading.Semaphore(0)

    def listener(emissions: Sequence[Emission]) -> None:
        for each in emissions:
            if isinstance(each.event, TERMINAL_EVENTS):
                ended.release()

    engine = engine_module.load_engine(
        folder, listener=listener, dtype=dtype, max_batch=REQUESTS, kv_budget_tokens=positions, threads=2
    )
    loaded = _measured("VmRSS")
    params = SamplingParams(temperature=0, max_tokens=8, min_tokens=8)
    text = "sea " * (positions // REQUESTS - 60)
    for number in range(REQUESTS):
        messages = (Message("user", f"{number} {text}"),)
        engine.submit(GenerationRequest(request_id=str(number), messages=messages, params=params))
    for _ in range(REQUESTS):
        ended.acquire()
    running = _measured("VmRSS")
    peak = _measured("VmHWM")
    engine.close(0)
    closed = _measured("VmRSS")
    measured = {"loaded": loaded, "running": running, "peak": peak, "closed": closed}
    foretold = {"peak": need.peak, "running": need.running, "weights": need.weights, "working": need.working}
    sys.stdout.write(json.dumps({"before": before, "measured": measured, "foretold": foretold}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
