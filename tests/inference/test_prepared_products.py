"""oneDNN and torch keep few of the products that they prepared for one shape each: growing contexts leave nothing."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from tests.inference.conftest import REPOSITORY

MEBIBYTE = 2**20
# Scores of contexts that grow token by token, in bfloat16: how much more memory is in use after 400 than after 100.
PROGRAM = """
import ctypes
import inference
import torch

class Usage(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

usage = ctypes.CDLL(None).mallinfo2
usage.restype = Usage
queries = torch.zeros(8, 16, 64, dtype=torch.bfloat16)
keys = torch.zeros(8, 1_024, 64, dtype=torch.bfloat16)
for number in range(400):
    queries @ keys[:, : 500 + number].transpose(-1, -2)
    if number == 100:
        before = usage().uordblks
print(usage().uordblks - before)
"""


def _grown(**environment: str) -> int:
    command = [sys.executable, "-c", PROGRAM]
    named = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"}
    given = {name: value for name, value in os.environ.items() if name not in named} | environment
    return int(subprocess.run(command, cwd=REPOSITORY, env=given, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc says how much memory is in use")
def test_contexts_that_grow_leave_no_memory_behind() -> None:
    assert _grown() < 16 * MEBIBYTE
    # On processors with instructions for bfloat16, where oneDNN multiplies it, the usual number would leave much.
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        assert _grown(ONEDNN_PRIMITIVE_CACHE_CAPACITY="1024", LRU_CACHE_CAPACITY="1024") > 64 * MEBIBYTE


def test_whoever_sets_it_otherwise_is_right() -> None:
    program = "import inference, os; print(os.environ['LRU_CACHE_CAPACITY'], os.environ['OMP_WAIT_POLICY'])"
    given = {**os.environ, "LRU_CACHE_CAPACITY": "7", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, cwd=REPOSITORY, env=given, check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["7", "PASSIVE"]
