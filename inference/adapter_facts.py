"""Reads from a LoRA adapter's folder what its card should not have to claim: rank, scaling, what it changes, digests.

Needs neither torch nor peft, since the header and JSON say it all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference.adapter_folder import CONFIG_NAME, AdapterFolder, read_adapter_folder
from inference.file_digests import WeightFile, weight_file_digests
from inference.weight_facts import FACTS_FORMAT
from inference.weight_folder import json_object


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFacts:
    """What the files of an adapter say.

    added_parameters: values in its factors, on top of the base's.
    ranks: how many modules have which rank. targets: how many modules of each name it changes.
    trained_on: the base that its configuration names.
    """

    added_parameters: int
    tensors: int
    dtypes: dict[str, int]
    weight_bytes: int
    alpha: float
    ranks: dict[str, int]
    targets: dict[str, int]
    trained_on: str
    files: tuple[WeightFile, ...]

    def as_dict(self) -> dict[str, Any]:
        """A form for JSON."""
        return asdict(self) | {"format": FACTS_FORMAT, "files": [asdict(file) for file in self.files]}


def read_adapter_facts(folder: Path, *, base_name: str = "") -> AdapterFacts:
    """Read an adapter for the base called `base_name`, or for whatever it names. Raises WeightsRefused, or OSError."""
    adapter = read_adapter_folder(folder, base_name=base_name or short_base_name(folder))
    factors = [tensor for module in adapter.modules.values() for tensor in (module.down, module.up)]
    dtypes: Counter[str] = Counter()
    for tensor in factors:
        dtypes[tensor.dtype] += tensor.values
    return AdapterFacts(
        added_parameters=sum(tensor.values for tensor in factors),
        tensors=len(factors),
        dtypes=dict(dtypes.most_common()),
        weight_bytes=sum(tensor.size_bytes for tensor in factors),
        alpha=adapter.alpha,
        ranks=_counted(str(module.rank) for module in adapter.modules.values()),
        targets=_counted(name.rpartition(".")[2] for name in adapter.modules),
        trained_on=trained_on(folder),
        files=tuple(weight_file_digests(folder)),
    )


def adapter_bytes(folder: Path) -> int:
    """What an adapter takes in memory at most, from its header. Raises WeightsRefused."""
    adapter = read_adapter_folder(folder, base_name=short_base_name(folder))
    # Kept in two bytes or four each, and read as they are stored before.
    values = sum(factor.values for module in adapter.modules.values() for factor in (module.down, module.up))
    stored = sum(factor.size_bytes for module in adapter.modules.values() for factor in (module.down, module.up))
    return 4 * values + stored


def trained_on(folder: Path) -> str:
    """The base that the adapter's configuration names, or an empty string. Raises WeightsRefused."""
    wanted = json_object(folder / CONFIG_NAME).get("base_model_name_or_path")
    return wanted[:300] if isinstance(wanted, str) and "\x00" not in wanted else ""


def short_base_name(folder: Path) -> str:
    """The last part of the base's name: a hub's owner/name and a training machine's folder both end in it."""
    return trained_on(folder).replace("\\", "/").rstrip("/").rpartition("/")[2]


def misfit(adapter: AdapterFolder, shapes: dict[str, tuple[int, ...]]) -> str:
    """The first module that does not fit a base whose tensors have these shapes, said in words; empty where all do."""
    for name, module in adapter.modules.items():
        shape = shapes.get(f"{name}.weight")
        if shape is None:
            return f"it changes {name}, which the base does not have"
        if shape != (module.up.shape[0], module.down.shape[1]):
            theirs = (module.up.shape[0], module.down.shape[1])
            return f"{name} has the shape {shape} in the base, but {theirs} in the adapter"
    return ""


def _counted(names: Any) -> dict[str, int]:
    return dict(Counter(names).most_common())
