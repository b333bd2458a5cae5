"""What a web process loads: neither torch nor transformers, but at its start what words given in it need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import contextvars
import gc
import sys
import threading
from django.urls import get_resolver
import portal.asgi
import portal.playground.tasks
import portal.api.urls
[loading] = [each for each in threading.enumerate() if each.name == "languages"] or [None]
if loading is not None:
    loading.join()
assert "py3langid.langid" in sys.modules, "a transaction would load it"
assert gc.get_freeze_count() > 100_000
assert get_resolver()._populated, "a request would load all addresses"
left = [each.name for each in contextvars.copy_context()]
assert len(left) < 10, f"every request would carry these from thread to thread: {left}"
print(sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""


def test_the_web_application_loads_neither_torch_nor_transformers() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
