"""The engine on local weights keeps every engine's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.transformers_engine import load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.engine_contract import EngineContract, EngineMaker
from tests.inference.rounded_models import save_rounded


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


class TestInt4EngineContract(EngineContract):
    """Rounded weights: the fused path with other products."""

    @pytest.fixture
    def make_engine(self, tiny_folder: FolderMaker, tmp_path: Path) -> EngineMaker:
        folder = save_rounded(tiny_folder("llama"), "int4", tmp_path)
        return lambda listener: load_engine(folder, listener=listener, dtype="int4", threads=1)
