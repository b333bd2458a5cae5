"""A real worker and a real upstream server: answers stream through, and an upstream that dies fails its run once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference.upstream_models import UpstreamRefused, list_models
from portal.catalog.importing_upstream import import_upstream
from portal.catalog.models import Variant
from portal.playground.models import Generation, State, TokenTrace
from portal.playground.services import cancel_generation
from tests.processes.scripted_backend import counted
from tests.processes.viewer import Screen, Viewer
from tests.processes.worker_process import WorkerProcess
from tests.services.installation import ROOT, START_WITHIN_S, eventually, free_port

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


class UpstreamProcess:
    """The scripted upstream as a process of its own, which can be killed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        log.touch()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.inference.scripted_upstream", str(port), str(log)], cwd=ROOT
        )
        eventually(self._answers, START_WITHIN_S, "the upstream answers")

    def _answers(self) -> bool:
        try:
            return bool(list_models(self.url))
        except UpstreamRefused:
            return False

    @property
    def log(self) -> list[str]:
        return self._log.read_text().split("\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[UpstreamProcess]:
    upstream = UpstreamProcess(tmp_path / "upstream.log")
    yield upstream
    upstream.kill()


@pytest.fixture
def variant(transactional_db: None, upstream: UpstreamProcess) -> Variant:
    return import_upstream(upstream.url, card_name="tests/counting").variant


def half_way(screen: Screen) -> bool:
    return "30 " in screen.text


def test_answers_stream_through_a_worker_until_they_are_cancelled_or_the_upstream_is_killed(
    start_worker: Callable[..., WorkerProcess],
    send: Callable[[int], Generation],
    watch: Callable[..., Viewer],
    upstream: UpstreamProcess,
) -> None:
    worker = start_worker()
    _answers_stream_many_at_once(send, watch)
    _cancel_hangs_up_on_the_upstream(send, watch, upstream)
    _an_upstream_that_is_killed_in_mid_stream_fails_the_run_once(send, watch, upstream)
    assert worker.process.poll() is None


def _answers_stream_many_at_once(send: Callable[[int], Generation], watch: Callable[..., Viewer]) -> None:
    generations = [send(60) for _ in range(8)]
    viewers = [watch(generation) for generation in generations]
    for generation, viewer in zip(generations, viewers, strict=True):
        screen = viewer.wait_for_end()
        assert screen.text == counted(60)
        generation.refresh_from_db()
        assert (generation.state, generation.output, generation.finish_reason) == (State.SUCCEEDED, counted(60), "stop")
        assert generation.usage["completion_tokens"] == 60
        assert generation.usage["prompt_tokens"] > 0
        assert generation.provenance["engine"] == "upstream"
        assert "count to 60" in generation.rendered_prompt
        tokens = TokenTrace.objects.get(generation=generation).tokens
        assert [token["id"] for token in tokens] == list(range(1, 61))


def _cancel_hangs_up_on_the_upstream(
    send: Callable[[int], Generation], watch: Callable[..., Viewer], upstream: UpstreamProcess
) -> None:
    generation = send(2000)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    assert "hung up" not in upstream.log
    assert cancel_generation(generation)
    # Long before it has counted to the end.
    eventually(lambda: "hung up" in upstream.log, 30, "the upstream's connection is closed")
    screen = viewer.wait_for_end()
    assert [event.data["finish_reason"] for event in screen.terminals] == ["cancelled"]
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED


def _an_upstream_that_is_killed_in_mid_stream_fails_the_run_once(
    send: Callable[[int], Generation], watch: Callable[..., Viewer], upstream: UpstreamProcess
) -> None:
    generation = send(2000)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    upstream.kill()
    screen = viewer.wait_for_end()
    assert [event.type for event in screen.terminals] == ["failed"]
    assert screen.terminals[0].data["code"] == "upstream"
    generation.refresh_from_db()
    assert (generation.state, generation.error_code, generation.attempt) == (State.FAILED, "upstream", 1)
    assert generation.output == screen.text != ""
    later = watch(send(10)).wait_for_end()
    assert [event.data["message"] for event in later.terminals] == ["The upstream cannot be reached."]
