"""The weights that the engine's benchmarks run on when none are named: those that `make weights` prepares."""

from __future__ import annotations

import os
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]


def default_folder() -> Path:
    """SmolLM2-135M-Instruct in the installation's home."""
    home = Path(os.environ.get("STEELYARD_HOME", _REPOSITORY / ".steelyard"))
    return home / "weights" / "smollm2-135m-instruct"
