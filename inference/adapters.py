"""LoRA adapters beside a base: each request may name one, and its rows get the low-rank product added.

The base's weights stay as they are and in one place, whatever the number of adapters and of requests that mix them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from inference.adapter_folder import WEIGHTS_NAME, AdapterFolder
from inference.linear_layers import Guessing, Linear
from inference.weight_folder import WeightsRefused

EVERY_ROW: Final = None


@dataclass(frozen=True, slots=True)
class LowRank:
    """What is added to a module's product: `down` is `(in, rank)`, `up` is `(rank, out)`, scaling included."""

    down: Tensor
    up: Tensor

    @property
    def width(self) -> int:
        return self.up.shape[1]


Adapter = Mapping[str, LowRank]
"""By the name of the module that each part changes."""


class AdapterBank:
    """The adapters of one base, and which rows of the current step use which.

    `attach` and `detach` may be called from any thread, everything else belongs to the engine's.
    """

    def __init__(self, model: Any) -> None:
        """Reads which modules can be adapted: the linear layers of the model but its output layer."""
        self.dtype: torch.dtype = model.dtype
        output = model.get_output_embeddings()
        self.shapes = {
            name: _shape(module)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear | Conv1D) and module is not output
        }
        self._attached: dict[str, Adapter] = {}
        self._current: list[tuple[Tensor | None, Adapter]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._attached

    def attach(self, name: str, folder: AdapterFolder) -> None:
        """Load an adapter under a name. Raises WeightsRefused when it does not fit this base, or the name is taken."""
        if name in self._attached:
            raise WeightsRefused(f"An adapter called {name} is attached already.")
        for module, factors in folder.modules.items():
            expected = self.shapes.get(module)
            if expected is None:
                raise WeightsRefused(f"{folder.path.name} changes {module}, which cannot be adapted in this base.")
            if (factors.down.shape[1], factors.up.shape[0]) != expected:
                raise WeightsRefused(f"{folder.path.name} does not fit this base: {module} has another size here.")
        try:
            tensors = load_file(folder.path / WEIGHTS_NAME)
        except Exception as error:
            raise WeightsRefused(f"{folder.path.name} cannot be loaded: {error}.") from error
        self._attached[name] = {
            module: LowRank(
                tensors[factors.down.name].to(self.dtype).t(),
                (tensors[factors.up.name].float() * factors.scaling).to(self.dtype).t(),
            )
            for module, factors in folder.modules.items()
        }

    def detach(self, name: str) -> None:
        """Forget an adapter that no request uses any more."""
        self._attached.pop(name, None)

    def apply(self, rows: Sequence[tuple[str, Tensor | None]]) -> None:
        """Which rows (EVERY_ROW for all) use which adapter from now on. Raises KeyError for an unknown one."""
        self._current = [(indices, self._attached[name]) for name, indices in rows]

    def add_to(self, product: Tensor, rows: Tensor, parts: Sequence[tuple[str, int]]) -> Tensor:
        """Add the current adapters' share, in place, to a `(rows, out)` product.

        `parts` are the modules whose outputs lie side by side in it, each with its first column.
        """
        for indices, adapter in self._current:
            chosen = rows if indices is EVERY_ROW else rows[indices]
            for module, column in parts:
                low_rank = adapter.get(module)
                if low_rank is None:
                    continue
                columns = product[:, column : column + low_rank.width]
                small = chosen @ low_rank.down
                if indices is EVERY_ROW:
                    columns.addmm_(small, low_rank.up)
                else:
                    columns.index_add_(0, indices, small @ low_rank.up)
        return product

    def hook_into(self, model: Any) -> None:
        """Let a transformers model's own passes apply the current adapters."""
        for name, module in model.named_modules():
            if name in self.shapes:
                module.register_forward_hook(self._hook(name))

    def _hook(self, name: str) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor | None]:
        parts = ((name, 0),)

        def add(_module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if not self._current:
                return None
            flat = output.reshape(-1, output.shape[-1])
            return self.add_to(flat, inputs[0].flatten(0, -2), parts).view(output.shape)

        return add


@contextmanager
def applied(bank: AdapterBank | None, rows: Sequence[tuple[str, Tensor | None]]) -> Iterator[None]:
    """The bank's adapters for one pass; no bank is one without adapters."""
    if bank is None or not rows:
        yield
        return
    bank.apply(rows)
    try:
        yield
    finally:
        bank.apply(())


class AdaptedLinear:
    """A linear layer, or several side by side, with the current adapters' share added."""

    __slots__ = ("_bank", "_base", "_parts")

    def __init__(self, base: Linear, bank: AdapterBank, modules: Sequence[str]) -> None:
        self._base = base
        self._bank = bank
        columns = [sum(bank.shapes[module][1] for module in modules[:at]) for at in range(len(modules))]
        self._parts = tuple(zip(modules, columns, strict=True))

    @property
    def guessing(self) -> Guessing:
        return self._base.guessing

    @property
    def is_batch_invariant(self) -> bool:
        """Of rows without an adapter."""
        return self._base.is_batch_invariant

    def __call__(self, rows: Tensor) -> Tensor:
        return self._bank.add_to(self._base(rows), rows, self._parts)


def _shape(module: torch.nn.Linear | Conv1D) -> tuple[int, int]:
    """How many numbers go in and out."""
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    return module.weight.shape[0], module.weight.shape[1]
