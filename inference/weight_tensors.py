"""Which tensors a folder of safetensors holds, over all of its shards; nothing but the headers is read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from inference.safetensors_header import InvalidHeader, Tensor, read_safetensors_header

INDEX: Final = "model.safetensors.index.json"
SINGLE_FILE: Final = "model.safetensors"
ADAPTER_FILE: Final = "adapter_model.safetensors"
MAX_JSON_BYTES: Final = 10_000_000
MAX_SHARDS: Final = 1_000


class UnreadableWeights(ValueError):
    """The folder does not hold readable weights; the message names the file and what is wrong with it."""


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of all shards by name; a sharded folder must hold exactly what its index lists.

    Raises UnreadableWeights, or OSError when a file cannot be read.
    """
    index = read_json_object(folder / INDEX)
    if index is None:
        return {tensor.name: tensor for tensor in _header(folder, SINGLE_FILE)}
    listed = index.get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise UnreadableWeights(f"{INDEX}: weight_map must map tensors to files")
    shards = sorted(set(listed.values()))
    if len(shards) > MAX_SHARDS:
        raise UnreadableWeights(f"{INDEX}: {len(shards)} files are listed; at most {MAX_SHARDS} are read")
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        if not _is_shard(shard):
            raise UnreadableWeights(f"{INDEX}: {shard!r} is not the name of a safetensors file in this folder")
        for tensor in _header(folder, shard):
            if tensor.name in tensors:
                raise UnreadableWeights(f"{shard}: tensor {tensor.name!r} is in another file too")
            if listed.get(tensor.name) != shard:
                raise UnreadableWeights(f"{shard}: tensor {tensor.name!r} is not listed for this file in {INDEX}")
            tensors[tensor.name] = tensor
    if missing := listed.keys() - tensors.keys():
        raise UnreadableWeights(f"{INDEX}: tensor {min(missing)!r} is listed but in no file")
    return tensors


def weight_files_of(folder: Path) -> list[Path]:
    """The files that hold the tensors: an adapter's, the single one, or the shards that `read_tensors` has checked.

    Raises UnreadableWeights.
    """
    for name in (ADAPTER_FILE, SINGLE_FILE):
        if (folder / name).is_file() and not (folder / INDEX).exists():
            return [folder / name]
    index = read_json_object(folder / INDEX) or {}
    listed = index.get("weight_map")
    names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
    if not names or not all(_is_shard(name) for name in names):
        raise UnreadableWeights(f"{folder.name} holds no readable weights")
    return [folder / name for name in names]


def _is_shard(name: str) -> bool:
    """Whether this is the name of a safetensors file in the folder itself."""
    return Path(name).name == name and not name.startswith(".") and name.endswith(".safetensors")


def _header(folder: Path, name: str) -> Iterable[Tensor]:
    try:
        return read_safetensors_header(folder / name).tensors
    except InvalidHeader as error:
        raise UnreadableWeights(str(error)) from error
    except FileNotFoundError as error:
        raise UnreadableWeights(f"{name} is missing") from error


def read_json_object(path: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any] | None:
    """The object in a JSON file, None where there is no such file. Raises UnreadableWeights for anything else."""
    try:
        if path.stat().st_size > limit:
            raise UnreadableWeights(f"{path.name}: more than {limit} bytes")
        value = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnreadableWeights):
            raise
        raise UnreadableWeights(f"{path.name}: not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise UnreadableWeights(f"{path.name}: not a JSON object")
    return value
