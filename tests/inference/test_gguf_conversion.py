"""The GGUF command: idempotent, whole or not at all, and one sentence when it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference.gguf_conversion import ConversionError, convert_gguf


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inference.gguf_conversion", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _sentence(outcome: subprocess.CompletedProcess[str]) -> str:
    """The last line on stderr, behind the progress bar."""
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    return outcome.stderr.splitlines()[-1]


def test_a_missing_file_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    assert _sentence(_run(tmp_path / "none.gguf", tmp_path / "out")).endswith("none.gguf does not exist.")


def test_another_kind_of_file_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    source = tmp_path / "text.gguf"
    source.write_text("not weights")
    assert _sentence(_run(source, tmp_path / "out")).endswith("text.gguf is not a GGUF file.")
    assert not (tmp_path / "out").exists()


def test_a_truncated_file_leaves_nothing_behind(smollm2_gguf: Path, tmp_path: Path) -> None:
    source = tmp_path / "half.gguf"
    source.write_bytes(smollm2_gguf.read_bytes()[:5_000_000])
    assert "damaged" in _sentence(_run(source, tmp_path / "out"))
    assert [file.name for file in tmp_path.iterdir()] == ["half.gguf"]


def test_no_room_is_noticed_before_writing(smollm2_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr("inference.gguf_conversion.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ConversionError, match="Not enough room"):
        convert_gguf(smollm2_gguf, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_not_overwritten(smollm2_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConversionError, match="was not made by this command"):
        convert_gguf(smollm2_gguf, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_second_call_does_nothing_and_needs_no_torch(smollm2_gguf: Path, smollm2_folder: Path) -> None:
    before = (smollm2_folder / "model.safetensors").stat().st_mtime_ns
    program = (
        "import sys\nfrom pathlib import Path\nfrom inference.gguf_conversion import convert_gguf\n"
        "written = convert_gguf(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "sys.exit(1 if written or 'torch' in sys.modules else 0)"
    )
    command = [sys.executable, "-c", program, str(smollm2_gguf), str(smollm2_folder)]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert (smollm2_folder / "model.safetensors").stat().st_mtime_ns == before
