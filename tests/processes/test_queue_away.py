"""Programs that ask while Valkey, which is the queue too, is halted or gone: an answer in seconds, and never two."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
import uuid
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from kombu.exceptions import OperationalError
from openai import OpenAI

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.models import Variant
from portal.celery import app
from portal.playground.models import Generation, State
from tests.processes.scripted_backend import counted
from tests.processes.web_process import WebProcess
from tests.processes.whole_answers import Start
from tests.processes.worker_process import IMPATIENT
from tests.services.installation import eventually
from tests.services.valkey import Valkey

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

MODEL = "tests/counting:scripted"
# Longer than the tests: what goes on does so because the queue is back, not because its turn came.
PROCESS = {"GENERATION_REDISPATCH_S": "600"}


@pytest.fixture(autouse=True)
def _served(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted variant is there before any process starts."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def secret(transactional_db: None, alice: User) -> str:
    return create_token(alice, name="test", scopes=[Scope.READ, Scope.SUBMIT], lifetime=None)[1]


def count_to(number: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"count to {number}"}], "max_tokens": 2000}


def start_run(web: WebProcess, secret: str) -> uuid.UUID:
    """A run that nobody waits for, by the portal's own API."""
    request = urllib.request.Request(
        f"{web.url}/api/v1/generations/",
        json.dumps({"variant": MODEL, "prompt": "count to 12"}).encode(),
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 201
        return uuid.UUID(json.load(response)["id"])


def has_answered(run_id: uuid.UUID) -> bool:
    return Generation.objects.filter(pk=run_id, state=State.SUCCEEDED, output=counted(12), attempt=1).exists()


@pytest.mark.contract
def test_behind_a_halted_queue_clients_are_told_to_come_again_and_rows_wait(
    start_web: Callable[..., WebProcess], start_worker: Start, valkey: Valkey, secret: str
) -> None:
    web = start_web(**PROCESS, **IMPATIENT)
    start_worker(**PROCESS, **IMPATIENT)
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0, timeout=60)
    assert client.chat.completions.create(**count_to(3)).choices[0].message.content == counted(3)
    with valkey.halted():
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as refused:
                client.chat.completions.create(**count_to(5), stream=stream)
            assert (refused.value.status_code, refused.value.code) == (503, "unavailable")
            assert refused.value.response.headers["Retry-After"] == "5"
        own = start_run(web, secret)
        # Those that were refused are stopped: whoever comes again does not run twice.
        asked = Generation.objects.filter(prompt="count to 5")
        eventually(lambda: asked.filter(state=State.CANCELLED).count() == 2, 60, "the refused runs are stopped")
        assert Generation.objects.get(pk=own).state == State.QUEUED
    eventually(lambda: has_answered(own), 60, "the run goes on once the queue is back")
    whole = client.chat.completions.create(**count_to(5))
    assert whole.choices[0].message.content == counted(5)
    assert asked.count() == 3


def test_a_queue_that_comes_back_soon_is_waited_for(
    start_web: Callable[..., WebProcess], start_worker: Start, valkey: Valkey, secret: str
) -> None:
    web = start_web(**PROCESS)
    start_worker(**PROCESS)
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0)
    valkey.stop(signal.SIGKILL)
    returning = threading.Timer(1.5, valkey.start)
    returning.start()
    chunks = client.chat.completions.create(**count_to(12), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == counted(12)
    returning.join()
    assert [(run.state, run.attempt) for run in Generation.objects.all()] == [(State.SUCCEEDED, 1)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_who_leaves_while_the_queue_is_away_has_no_run_when_it_is_back(
    stream: bool, start_web: Callable[..., WebProcess], start_worker: Start, valkey: Valkey, secret: str
) -> None:
    web = start_web(**PROCESS, **IMPATIENT | {"TEST_QUEUE_PATIENCE_S": "600"})
    start_worker(**PROCESS)
    body = json.dumps({**count_to(12), "stream": stream})
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    leaving = HTTPConnection("127.0.0.1", urlsplit(web.url).port or 0, timeout=60)
    with valkey.halted():
        leaving.request("POST", "/v1/chat/completions", body, headers)
        eventually(lambda: Generation.objects.filter(state=State.QUEUED).exists(), 60, "the run is queued")
        leaving.close()
        eventually(lambda: Generation.objects.get().state == State.CANCELLED, 60, "the run is stopped")
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0, timeout=60)
    assert client.chat.completions.create(**count_to(3)).choices[0].message.content == counted(3)
    assert Generation.objects.get(prompt="count to 12").output == ""


def test_workers_look_for_a_queue_that_is_long_away_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _seconds: None)
    pauses: list[float] = []
    with pytest.raises(OperationalError), app.connection_for_read("redis+socket:///nowhere/valkey.sock") as connection:
        connection.ensure_connection(lambda _error, pause: pauses.append(pause), 30)
    assert len(pauses) == 30
    assert max(pauses) <= 2
