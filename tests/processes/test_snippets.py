"""Programs that a page or a document offers, taken from there and run as they stand."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.test import Client

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.models import Variant
from portal.catalog.seed import seed_cards
from portal.catalog.snippets import QUESTION
from portal.playground.models import Conversation, Generation
from tests.processes.scripted_backend import counted
from tests.processes.web_process import WebProcess
from tests.processes.worker_process import WorkerProcess

RUNS = Path(__file__).parents[2] / "docs" / "runs.md"
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
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_portals_own_endpoint_answers_the_pages_programs_and_the_recipes_of_runs(
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
    _the_recipes_of_runs_and_a_stream_that_breaks(web, variant, secret)


def _the_recipes_of_runs_and_a_stream_that_breaks(web: WebProcess, variant: Variant, secret: str) -> None:
    # One shell, as a reader has one; the scripted engine answers one question alone.
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", RUNS.read_text(), re.MULTILINE | re.DOTALL))
    script = script.replace("What is a steelyard?", "count to 5")
    command = ["bash", "-euo", "pipefail", "-c", script]
    printed = run(command, PORTAL=web.url, TOKEN=secret, MODEL=variant.model_id)
    whole, resumed = printed.split("retry: 1000")[1:3]
    assert re.findall("event: (started|finished)", whole) == ["started", "finished"]
    # Each number once, and behind event 1-2 those that were not seen.
    first, second = ("".join(re.findall(r'"text":"([\d ]+)","channel"', each)) for each in (whole, resumed))
    assert (first, len(second) < len(first), first.endswith(second)) == (counted(5), True, True)
    traced, end = json.JSONDecoder().raw_decode(after := resumed.rpartition("\n\n")[2].lstrip())
    stopped, _end = json.JSONDecoder().raw_decode(after[end:])
    assert [token["text"] for token in traced["tokens"]] == [f"{each} " for each in range(1, 6)]
    assert stopped["parameters"]["temperature"] == 1.2
    assert Conversation.objects.filter(title="On balances").count() == 1
    with httpx2.Client(
        base_url=web.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False
    ) as client:
        _a_stream_breaks_and_goes_on(client, variant)


def _a_stream_breaks_and_goes_on(client: httpx2.Client, variant: Variant) -> None:
    asked = {"variant": variant.model_id, "prompt": "count to 100", "parameters": {"max_tokens": 2000}}
    started = client.post("/api/v1/generations/", json=asked)
    address = started.headers["Location"]
    texts, last = _follow(client, address, "", stop_after=20)
    assert client.get(address).json()["state"] in {"running", "succeeded"}
    rest, _last = _follow(client, address, last)
    assert texts + rest == counted(100)
    # A run that is followed can be stopped by anybody who has the token.
    following = client.post("/api/v1/generations/", json=asked | {"prompt": "count to 2000"}).headers["Location"]
    seen, last = _follow(client, following, "", stop_after=5)
    client.post(f"{following}cancel/")
    rest, _last = _follow(client, following, last)
    stopped = client.get(following).json()
    assert (stopped["state"], stopped["output"]) == ("cancelled", seen + rest)


def _follow(client: httpx2.Client, address: str, after: str, stop_after: int = 10**6) -> tuple[str, str]:
    """The text behind `after` and the last event's id; the connection breaks off behind so many deltas."""
    texts: list[str] = []
    last = after
    with client.stream("GET", f"{address}events/", headers={"Last-Event-ID": after} if after else {}) as response:
        assert response.status_code == 200
        event = ""
        for line in response.iter_lines():
            name, _colon, value = line.partition(": ")
            if name == "id":
                last = value
            elif name == "event":
                event = value
                assert event != "reset"
            elif name == "data" and event == "delta":
                texts.append(json.loads(value)["text"])
                if len(texts) == stop_after:
                    break
    return "".join(texts), last


@pytest.mark.weights
@pytest.mark.django_db
def test_transformers_runs_on_the_prepared_weights(client: Client, settings: Any, prepared_weights: Path) -> None:
    settings.STEELYARD_HOME = prepared_weights.parents[1]
    seed_cards()
    programs = snippets_of(client.get(USE).text)
    variant = Variant.objects.get(slug="q4_1-bf16")
    assert variant.digests["model.safetensors"] in programs["transformers"]
    assert variant.facts["origin"]["source_sha256"] in programs["llama.cpp"]
    # A few words show that it runs; everything else stays as it stands.
    program = programs["transformers"].replace("max_new_tokens=64", "max_new_tokens=12")
    answer = run([sys.executable, "-c", program], MODEL=str(prepared_weights), HF_HUB_OFFLINE="1")
    assert 3 < len(answer.split()) <= 12
