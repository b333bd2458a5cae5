"""Weights rounded in plain arithmetic, and tiny models that have them as if they came out of a file of that format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gguf
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

Rounder = Callable[[Tensor], Tensor]


def by_int8(weight: Tensor) -> Tensor:
    """What int8 makes of a weight, in plain arithmetic."""
    scales = (weight.float().abs().amax(dim=1, keepdim=True) / 127).bfloat16().float()
    return ((weight.float() / scales).round() * scales).bfloat16()


def by_int4(weight: Tensor) -> Tensor:
    """The same of int4, by GGUF's own Q4_1."""
    blocks = gguf.quants.quantize(weight.float().numpy(), gguf.GGMLQuantizationType.Q4_1)
    return torch.from_numpy(gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q4_1)).bfloat16()


ROUNDERS: Final = {
    "int8": {"layers": by_int8, "head": by_int8},
    "int4": {"layers": by_int4, "head": by_int8},
}


def save_rounded(folder: Path, dtype: str, into: Path) -> Path:
    """The folder's model with its weights rounded beforehand, as one that comes out of a file of that format."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            rounder = ROUNDERS[dtype]["head" if name == "lm_head" else "layers"]
            module.weight = torch.nn.Parameter(rounder(module.weight.detach()))
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(folder).save_pretrained(into)
    return into
