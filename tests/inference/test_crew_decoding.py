"""What is decoded with a crew's help is right, however late its helpers are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from inference import decode_kernels, product_kernel
from inference.compute_threads import run_shared
from inference.fused_decoder import FusedDecoder
from inference.key_value_slots import KeyValueSlots
from inference.linear_layers import NativeLinear
from inference.step_plan import EARLY, Span
from tests.inference.conftest import FolderMaker
from tests.inference.crew_orders import WITHIN_S

pytestmark = pytest.mark.usefixtures("threads_let_go")


def _decoder(folder: Path) -> tuple[FusedDecoder, KeyValueSlots]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    slots = KeyValueSlots(budget=8 * 512, longest=512)
    return FusedDecoder(model, slots, NativeLinear), slots


@torch.inference_mode()
def _greedy(decoder: FusedDecoder, slots: KeyValueSlots, prompts: Sequence[Sequence[int]], steps: int) -> list[Tensor]:
    """Of all requests in one batch."""
    places = [slots.take(len(prompt) + steps) for prompt in prompts]
    spans = [Span(place, 0, prompt) for place, prompt in zip(places, prompts, strict=True) if place is not None]
    came_out = []
    for _ in range(steps):
        came_out.append(decoder.logits(spans).clone())
        tokens = came_out[-1].argmax(dim=-1).tolist()
        spans = [Span(span.place, span.end, [token]) for span, token in zip(spans, tokens, strict=True)]
    for place in places:
        assert place is not None
        slots.give_back(place, wipe=True)
    return came_out


@pytest.fixture
def _full_load() -> Iterator[None]:
    """A process per core that computes, and ends by itself whatever becomes of this one."""
    program = f"import os, time\nos.nice(19)\nend = time.monotonic() + {WITHIN_S}\nwhile time.monotonic() < end: pass"
    with ExitStack() as running:
        for _ in range(os.cpu_count() or 1):
            process = running.enter_context(subprocess.Popen([sys.executable, "-c", program]))
            running.callback(process.kill)
        yield


@pytest.mark.usefixtures("_full_load")
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_tokens_are_those_of_a_single_thread_while_other_processes_have_all_cores(
    tiny_folder: FolderMaker, architecture: str
) -> None:
    decoder, slots = _decoder(tiny_folder(architecture))
    prompts = [[(7 * index + length) % 200 for index in range(length)] for length in (3, 50, 120)]
    torch.set_num_threads(1)
    alone = _greedy(decoder, slots, prompts, 24)
    torch.set_num_threads(4)
    for _ in range(3):
        helped = _greedy(decoder, slots, prompts, 24)
        assert all(torch.equal(one, other) for one, other in zip(helped, alone, strict=True))


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_what_a_late_helper_reads_or_writes_is_changed_by_nobody(
    tiny_folder: FolderMaker, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would take wrong numbers, or put its own in the place of newer ones."""
    written: list[tuple[Tensor, Tensor]] = []

    def and_all_are_late(*arguments: Any, keep: Any = None, **options: Any) -> bool:
        run_shared(*arguments, keep=keep, **options)
        # Rows are copied before a helper looks whether it is late, and in the store it reads the first positions only.
        states_or_out = {5: keep[-1:] if keep else (), 6: keep[:3] if keep else (), 2: keep or ()}
        written.extend((each, each.clone()) for each in states_or_out[len(keep) if keep else 2])
        return True

    decoder, slots = _decoder(tiny_folder(architecture))
    monkeypatch.setattr(product_kernel, "run_shared", and_all_are_late)
    monkeypatch.setattr(decode_kernels, "run_shared", and_all_are_late)
    prompts = [[(7 * index + length) % 200 for index in range(length)] for length in (3, EARLY + 60)]
    _greedy(decoder, slots, prompts, 3)
    assert len(written) > 50
    assert all(torch.equal(now.nan_to_num(), then.nan_to_num()) for now, then in written)
