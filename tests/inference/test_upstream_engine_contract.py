"""The upstream engine keeps every engine's promises, over HTTP to a server that streams as vLLM does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.upstream_engine import UpstreamEngine
from inference.upstream_request import DIALECTS
from tests.inference.engine_contract import EngineContract, EngineMaker
from tests.inference.scripted_upstream import MODEL, ScriptedUpstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


class TestUpstreamEngineContract(EngineContract):
    @pytest.fixture
    def make_engine(self, upstream: ScriptedUpstream) -> EngineMaker:
        return lambda listener: UpstreamEngine(listener, base_url=upstream.url, model=MODEL, dialect=DIALECTS["vllm"])
