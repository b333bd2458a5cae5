"""Which device an engine's weights go to."""

from __future__ import annotations

from typing import Final

import torch

from inference.weight_folder import WeightsRefused

CHOICES: Final = ("auto", "cpu", "cuda")


def chosen_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` is cuda where torch sees one. Raises WeightsRefused for one that is not there."""
    if wanted not in CHOICES:
        raise WeightsRefused(f"There is no device {wanted}; there are {', '.join(CHOICES)}.")
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise WeightsRefused(
            "The device is to be cuda, and torch sees none: it may be a build for the processor alone."
        )
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"
