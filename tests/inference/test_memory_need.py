"""An engine takes the memory that was computed before loading it, and gives it back when it closes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference import process_memory
from inference.transformers_engine import estimate_memory
from inference.weight_folder import WeightsRefused
from tests.inference.conftest import REPOSITORY, FolderMaker

POSITIONS = 1_024
TOLERANCE = 0.15
MEBIBYTE = 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process takes")
@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4", "float32"])
def test_an_engine_takes_what_was_foretold_and_gives_it_back(dtype: str, smollm2_folder: Path) -> None:
    command = [sys.executable, "-m", "tests.inference.memory_process", str(smollm2_folder), dtype, str(POSITIONS)]
    printed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    report = json.loads(printed)
    # What torch and transformers take by themselves is in none of these numbers.
    measured = {moment: size - report["before"] for moment, size in report["measured"].items()}
    foretold = report["foretold"]
    assert foretold["peak"] == pytest.approx(measured["peak"], rel=TOLERANCE)
    assert foretold["running"] == pytest.approx(measured["running"], rel=TOLERANCE)
    # The tokenizer, and what stays with the process: code compiled for decoding, the library's own buffers.
    assert measured["closed"] < 272 * MEBIBYTE


def test_more_positions_need_more_memory(tiny_folder: FolderMaker) -> None:
    small = estimate_memory(tiny_folder("llama"), dtype="float32", kv_budget_tokens=1_000)
    large = estimate_memory(tiny_folder("llama"), dtype="float32", kv_budget_tokens=3_000)
    layers, heads, size = 2, 2, 16
    assert small.keys_and_values == 1_000 * layers * 2 * heads * size * 4
    assert large.running - small.running == 2 * small.keys_and_values


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3", "mixtral", "deepseek_v3", "gpt_oss"])
def test_every_architecture_has_an_estimate(architecture: str, tiny_folder: FolderMaker) -> None:
    need = estimate_memory(tiny_folder(architecture), dtype="bfloat16")
    assert need.peak >= need.running > need.weights > 0
    assert need.keys_and_values > 0


def test_a_missing_folder_has_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match="not a folder"):
        estimate_memory(tmp_path / "nowhere")


def test_a_containers_limit_counts_before_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 500 kB\n")
    (tmp_path / "memory.max").write_text("200000\n")
    (tmp_path / "memory.current").write_text("150000\n")
    (tmp_path / "memory.stat").write_text("anon 90000\nactive_file 20000\ninactive_file 30000\n")
    monkeypatch.setattr(process_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(process_memory, "_CGROUP", tmp_path)
    assert process_memory.available_memory() == 100_000
    (tmp_path / "memory.max").write_text("max\n")
    assert process_memory.available_memory() == 512_000
