"""What transformers asks the `gguf` package for while it loads one file, answered once and remembered.

transformers reads the whole head of a file (a hundred thousand strings) for the config, again for the tokenizer and
again for the weights, and has all names of tensors listed anew for each module of the model. Both are the same each
time: together they were two thirds of a conversion (SmolLM2-135M, `python -m cProfile -m inference.gguf_conversion`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import gguf
import numpy as np
import numpy.typing as npt

# The package's names are replaced for the whole process while one file is read.
_ONE_AT_A_TIME: Final = threading.Lock()


class QuickReader(gguf.GGUFReader):
    """gguf's own reader, slicing a plain view: a memmap makes an object with a `__dict__` of each slice."""

    _view: npt.NDArray[np.uint8] | None = None

    def _get(
        self,
        offset: int,
        dtype: npt.DTypeLike,
        count: int = 1,
        override_order: Literal["I", "S", "<"] | None = None,
    ) -> npt.NDArray[Any]:
        if self._view is None:
            self._view = np.asarray(self.data)
        ordered = _ordered(dtype, override_order or self.byte_order)  # type: ignore[arg-type]
        start = int(offset)
        return self._view[start : start + ordered.itemsize * int(count)].view(ordered)


@lru_cache(maxsize=64)
def _ordered(dtype: npt.DTypeLike, order: Literal["I", "S", "<"]) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder(order)


@contextmanager
def read_once(source: Path) -> Iterator[gguf.GGUFReader]:
    """The reader of this file, which whoever asks the `gguf` package for one within the block is given too.

    Raises what gguf.GGUFReader does for a file that is none.
    """
    with _ONE_AT_A_TIME:
        reader = QuickReader(source)
        reader_class, names_of = gguf.GGUFReader, gguf.get_tensor_name_map

        def reader_of(path: Any, *arguments: Any, **options: Any) -> gguf.GGUFReader:
            same = not arguments and not options and Path(path).resolve() == source.resolve()
            return reader if same else reader_class(path, *arguments, **options)

        gguf.GGUFReader = reader_of  # type: ignore[assignment,misc]
        gguf.get_tensor_name_map = lru_cache(maxsize=4)(names_of)
        try:
            yield reader
        finally:
            gguf.GGUFReader = reader_class  # type: ignore[misc]
            gguf.get_tensor_name_map = names_of
