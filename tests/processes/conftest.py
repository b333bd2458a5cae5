"""Real processes on the test's own database: Valkey, Celery workers, and people who watch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.catalog.models import ModelCard, Variant
from portal.playground.models import Generation
from portal.playground.services import start_generation
from tests.processes.viewer import Viewer
from tests.processes.web_process import WebProcess
from tests.processes.worker_process import WorkerProcess
from tests.services.valkey import Valkey


@pytest.fixture(scope="module")
def _valkey_process() -> Iterator[Valkey]:
    """Ends with its file: other tests, which find none, count limits in memory and forget them."""
    server = Valkey(Path(settings.REDIS_URL.removeprefix("unix://").partition("?")[0]))
    yield server
    server.close()


@pytest.fixture
def valkey(_valkey_process: Valkey) -> Valkey:
    """A running, empty Valkey, however the last test left it."""
    _valkey_process.restart_empty()
    return _valkey_process


@pytest.fixture
def start_worker(transactional_db: None, valkey: Valkey, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts a worker that is ready when the call returns, unless told not to wait; all end with the test."""
    workers: list[WorkerProcess] = []

    def start(*, wait: bool = True, **environment: str) -> WorkerProcess:
        worker = WorkerProcess(tmp_path / f"worker-{len(workers)}.log", **environment)
        workers.append(worker)
        if wait:
            worker.wait_until_ready()
        return worker

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def start_web(transactional_db: None, valkey: Valkey, tmp_path: Path) -> Iterator[Callable[..., WebProcess]]:
    """Starts a web process that answers when the call returns; all end with the test."""
    webs: list[WebProcess] = []

    def start(**environment: str) -> WebProcess:
        web = WebProcess(tmp_path / f"web-{len(webs)}.log", **environment)
        webs.append(web)
        return web

    yield start
    for web in webs:
        web.end()


@pytest.fixture
def variant(transactional_db: None) -> Variant:
    """Counts, fifty numbers a second."""
    card = ModelCard.objects.create(owner_name="tests", slug="counting", title="Counting")
    return Variant.objects.create(card=card, slug="scripted", backend="scripted", source="none", facts={"step_s": 0.02})


@pytest.fixture
def send(variant: Variant) -> Callable[..., Generation]:
    """Sends "count to <number>" as a new visitor."""

    def send_prompt(number: int) -> Generation:
        return start_generation(
            Actor(visitor=uuid.uuid4(), network=str(uuid.uuid4())),
            variant=variant,
            prompt=f"count to {number}",
            params=SamplingParams(max_tokens=2000),
        )

    return send_prompt


@pytest.fixture
def watch() -> Callable[..., Viewer]:
    def begin(generation: Generation) -> Viewer:
        viewer = Viewer(generation)
        viewer.start()
        return viewer

    return begin
