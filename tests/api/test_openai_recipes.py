"""Every recipe in docs/openai.md runs as it stands, against an installation on the real weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.services.installation import ROOT, Installation, manage
from tests.services.recipes import run_recipes

DOCUMENT = (ROOT / "docs" / "openai.md").read_text()


@pytest.mark.processes
@pytest.mark.weights
def test_every_recipe_runs(portal: Installation, tmp_path: Path) -> None:
    made = manage(portal.home, "create_token", "--user", "admin", "--scope", "read", "submit")
    assert made.returncode == 0, made.stderr
    url, token = f"http://127.0.0.1:{portal.port}", made.stdout.strip()
    whole, streamed, continued = run_recipes("openai.md", tmp_path, PORTAL=url, TOKEN=token)
    assert json.loads(whole)["choices"][0]["message"]["content"]
    answer, tokens, rated = streamed.strip().rsplit("\n", 2)
    assert answer
    assert re.fullmatch(r"\d+ tokens by HuggingFaceTB/SmolLM2-135M-Instruct:\S+", tokens)
    assert rated == "rated: down"
    assert "Paris" in continued
    assert continued.startswith("  24")


def test_the_codes_in_the_table_are_those_that_are_sent() -> None:
    source = "".join(path.read_text() for path in (ROOT / "portal" / "api" / "openai").glob("*.py"))
    told = set(re.findall(r'code="([a-z_]+)"', source))
    rows = DOCUMENT.partition("## Errors")[2]
    assert told <= set(re.findall(r"`([a-z_]+)`", rows))
