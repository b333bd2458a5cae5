"""The web process must stay light: torch and transformers belong to workers, and what is loaded is set aside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import gc
import sys
import portal.asgi
import portal.playground.tasks
import portal.api.urls
assert gc.get_freeze_count() > 100_000
print(sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""


def test_the_web_application_loads_neither_torch_nor_transformers() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
