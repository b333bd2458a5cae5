"""The engine on local weights keeps every engine's promises."""

from __future__ import annotations

import pytest

from inference.transformers_engine import load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.engine_contract import EngineContract, EngineMaker


class TestTransformersEngineContract(EngineContract):
    @pytest.fixture
    def make_engine(self, tiny_folder: FolderMaker) -> EngineMaker:
        folder = tiny_folder("llama")
        return lambda listener: load_engine(folder, listener=listener, dtype="float32", threads=1)


class TestSequentialEngineContract(EngineContract):
    """The slower path, which an architecture with latent attention takes."""

    @pytest.fixture
    def make_engine(self, tiny_folder: FolderMaker) -> EngineMaker:
        folder = tiny_folder("deepseek_v3")
        return lambda listener: load_engine(folder, listener=listener, dtype="float32", threads=1)
