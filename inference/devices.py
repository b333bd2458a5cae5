"""Which device an engine's weights go to."""

from __future__ import annotations

import torch

from inference.device_names import DEVICES
from inference.weight_folder import WeightsRefused


def chosen_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` is cuda where torch sees one. Raises WeightsRefused for one that is not there."""
    if wanted not in DEVICES:
        raise WeightsRefused(f"There is no device {wanted}; there are {', '.join(DEVICES)}.")
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise WeightsRefused(
            "The device is to be cuda, and torch sees none: it may be a build for the processor alone."
        )
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"
