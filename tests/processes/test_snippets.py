"""The programs that a variant's page offers, taken from the page and run as they stand."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.models import Variant
from portal.catalog.seed import seed_cards
from portal.catalog.snippets import QUESTION
from portal.playground.models import Generation
from tests.processes.web_process import WebProcess
from tests.processes.worker_process import WorkerProcess

USE = "/models/HuggingFaceTB/SmolLM2-135M-Instruct/q4_1-bf16/use/"


def snippets_of(page: str) -> dict[str, str]:
    found = re.findall(r'data-snippet="([^"]+)"><code>(.*?)</code></pre>', page, re.DOTALL)
    return {name: html.unescape(code) for name, code in found}


def run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "no_proxy": "*", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_portals_own_endpoint_answers_both_programs(
    variant: Variant, start_web: Callable[..., WebProcess], start_worker: Callable[..., WorkerProcess], alice: User
) -> None:
    web = start_web()
    start_worker()
    _token, secret = create_token(alice, name="snippets", scopes=[Scope.READ, Scope.SUBMIT], lifetime=None)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = f"{web.url}/models/{variant.card.name}/{variant.slug}/use/"
    programs = snippets_of(opener.open(address).read().decode())
    # The scripted engine answers one question alone; everything else stays as it stands.
    programs = {name: code.replace(QUESTION, "count to 5") for name, code in programs.items()}
    assert f"{web.url}/v1" in programs["openai"]
    answer = run([sys.executable, "-c", programs["openai"]], STEELYARD_TOKEN=secret)
    assert answer
    assert '"content"' in run(["sh", "-c", programs["curl"]], STEELYARD_TOKEN=secret)
    assert list(Generation.objects.values_list("state", flat=True)) == ["succeeded"] * 2


@pytest.mark.weights
@pytest.mark.django_db
def test_transformers_runs_on_the_prepared_weights(client: Client, settings: Any, prepared_weights: Path) -> None:
    settings.STEELYARD_HOME = prepared_weights.parents[1]
    seed_cards()
    programs = snippets_of(client.get(USE).text)
    variant = Variant.objects.get(slug="q4_1-bf16")
    assert variant.digests["model.safetensors"] in programs["transformers"]
    assert variant.facts["origin"]["source_sha256"] in programs["llama.cpp"]
    answer = run([sys.executable, "-c", programs["transformers"]], MODEL=str(prepared_weights), HF_HUB_OFFLINE="1")
    assert len(answer.split()) > 5
