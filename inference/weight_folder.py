"""What lies in a folder of weights: refuses what must not be loaded, before torch touches it, and computes digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.safetensors_header import InvalidHeader, Tensor, read_safetensors_header

PICKLE_SUFFIXES: Final = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
DIGEST_CACHE_NAME: Final = "digests.json"


class WeightsRefused(ValueError):
    """These weights are not loaded; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class WeightFolder:
    """A folder that passed the checks, and what its headers say."""

    path: Path
    weight_files: tuple[Path, ...]
    config: dict[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def parameters(self) -> int:
        """The number of stored numbers."""
        return sum(tensor.values for tensor in self.tensors)


def read_weight_folder(path: Path) -> WeightFolder:
    """Check a folder of safetensors weights. Raises WeightsRefused."""
    if not path.is_dir():
        raise WeightsRefused(f"{path} is not a folder.")
    config = json_object(path / "config.json")
    if "auto_map" in config:
        raise WeightsRefused(f"{path.name} needs code from its repository, which is never run here.")
    weight_files = _weight_files(path)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise WeightsRefused(f"{path.name} has no tokenizer (looked for {', '.join(TOKENIZER_FILES)}).")
    tokenizer_config = path / "tokenizer_config.json"
    if tokenizer_config.exists() and "auto_map" in json_object(tokenizer_config):
        raise WeightsRefused(f"The tokenizer of {path.name} needs code from its repository, which is never run here.")
    return WeightFolder(
        path, weight_files, config, tuple(each for file in weight_files for each in stored_tensors(file))
    )


def json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises WeightsRefused."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsRefused(f"{file.parent.name} has no {file.name}.") from None
    except RecursionError:
        raise WeightsRefused(f"{file.name} of {file.parent.name} is nested too deeply.") from None
    except (OSError, ValueError) as error:
        raise WeightsRefused(f"{file.name} of {file.parent.name} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise WeightsRefused(f"{file.name} of {file.parent.name} is not a JSON object.")
    return content


def _weight_files(path: Path) -> tuple[Path, ...]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        listed = json_object(index).get("weight_map", {})
        if not isinstance(listed, dict) or not all(
            isinstance(name, str) and "\0" not in name for name in listed.values()
        ):
            raise WeightsRefused(f"The index of {path.name} does not map tensors to files.")
        names = set(listed.values())
        files = tuple(sorted(path / name for name in names))
        outside = [file for file in files if file.parent != path]
        missing = [file.name for file in files if not file.is_file()]
        if outside:
            raise WeightsRefused(f"The index of {path.name} points outside of its folder.")
        if missing or not files:
            raise WeightsRefused(f"{path.name} lacks weight files: {', '.join(missing) or 'the index names none'}.")
        return files
    files = tuple(sorted(path.glob("*.safetensors")))
    if files:
        return files
    pickles = sorted(file.name for file in path.iterdir() if file.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise WeightsRefused(
            f"{path.name} holds pickled weights ({', '.join(pickles)}), which can run code: make safetensors of them."
        )
    raise WeightsRefused(f"{path.name} holds no .safetensors file.")


def stored_tensors(file: Path) -> tuple[Tensor, ...]:
    """What a checked header lists. Raises WeightsRefused when the file is damaged."""
    try:
        return read_safetensors_header(file).tensors
    except InvalidHeader as error:
        raise WeightsRefused(f"{error}.") from error
    except OSError as error:
        raise WeightsRefused(f"{file.name} cannot be read: {error.strerror}.") from error


def digests(folder: WeightFolder, on_progress: Callable[[float], None] | None = None) -> dict[str, str]:
    """SHA-256 of each weight file by name; remembered beside the weights for as long as size and time stay."""
    cache_file = folder.path / DIGEST_CACHE_NAME
    try:
        known = json.loads(cache_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    found: dict[str, dict[str, object]] = {}
    for number, file in enumerate(folder.weight_files):
        status = file.stat()
        stamp: dict[str, object] = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        entry = known.get(file.name) if isinstance(known, dict) else None
        if isinstance(entry, dict) and {**entry, **stamp} == entry and isinstance(entry.get("sha256"), str):
            found[file.name] = entry
        else:
            with file.open("rb") as opened:
                found[file.name] = {**stamp, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
        if on_progress is not None:
            on_progress((number + 1) / len(folder.weight_files))
    if found != known:
        _remember(cache_file, found)
    return {name: str(entry["sha256"]) for name, entry in found.items()}


def _remember(cache_file: Path, found: dict[str, dict[str, object]]) -> None:
    partial = cache_file.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        partial.replace(cache_file)
    except OSError:
        # A folder mounted read-only is fine: the digests are computed again next time.
        return
