"""The guide's example runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.inference.conftest import REPOSITORY, FolderMaker


def test_the_example_of_the_guide_answers(tiny_folder: FolderMaker, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "engine.md").read_text(), re.DOTALL)
    names: dict[str, object] = {"folder": Path(tiny_folder("llama"))}
    exec(example, names)
    assert type(names["ended"]).__name__ == "Finished"
    assert capsys.readouterr().out
