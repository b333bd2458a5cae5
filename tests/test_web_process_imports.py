"""The web process must stay light: torch and transformers belong to workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import portal.asgi
from django.urls import get_resolver
import portal.playground.tasks
get_resolver().url_patterns
print(sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""


def test_the_web_application_loads_neither_torch_nor_transformers() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
