"""The recipes that a page of the documentation shows, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.services.installation import ROOT


def run_recipes(page: str, folder: Path, **environment: str) -> list[str]:
    """What each printed, the page's first one first; they run in this folder, one after the other."""
    recipes = re.findall(r"^```(sh|python)\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "no_proxy": "*"} | environment
    printed = []
    for language, recipe in recipes:
        command = [sys.executable, "-c", recipe] if language == "python" else ["bash", "-euo", "pipefail", "-c", recipe]
        done = subprocess.run(
            command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, (recipe, done.stdout, done.stderr)
        printed.append(done.stdout)
    return printed
