"""What native functions are made of: how they are compiled, bfloat16 in them, and an exponential that is vectors.

numba keeps a function's machine code on disk until the function's own file changes. What goes into functions of other
files is named in `INGREDIENTS`: a change there makes other files of machine code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic, overload
from numpy.typing import NDArray
from torch import Tensor

INGREDIENTS: Final = ("native_code.py", "native_atomics.py", "crew.py", "product_tile.py")

# numba has no bfloat16: its bits stand for it.
KINDS: Final = {torch.bfloat16: np.uint16(0), torch.float32: np.float32(0)}

# Sums may be reordered, which vectors need; what is not a number must stay so, since the sampler looks for it.
_FAST: Final = {"reassoc", "contract", "nsz", "arcp"}
_LOG2_E: Final = np.float32(1.4426950408889634)

# What numba knows of numpy, 42 MB and a third of a second, which it would read when it first compiles or loads a
# function: in the middle of an engine's loading, and missing in what that was foretold to take.
cpu_target.target_context.refresh()

inlined = njit(fastmath=_FAST, error_model="numpy")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function in machine code, made at its first call and kept on disk, since that takes seconds."""
    made: Callable[..., Any] = _kept(partial(njit, nogil=True, fastmath=_FAST, error_model="numpy"), function)
    return made


def callback(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes a function that native code calls at its `address`, compiled at once and kept on disk."""
    return partial(_kept, partial(cfunc, signature))


def _digest_of_ingredients() -> str:
    folder = Path(__file__).parent
    return sha256(b"".join((folder / name).read_bytes() for name in INGREDIENTS)).hexdigest()[:12]


_INGREDIENTS_DIGEST: Final = _digest_of_ingredients()


def _kept(compiler: Callable[..., Any], function: Callable[..., Any]) -> Any:
    # The file's name is made of this one.
    function.__qualname__ += f"_{_INGREDIENTS_DIGEST}"
    try:
        return compiler(cache=True)(function)
    except RuntimeError:  # neither this folder nor the user's own for caches can be written
        return compiler(cache=False)(function)


def _pointer_code(_context: Any, address: Any, kind: Any) -> Any:
    """The address as a pointer to items of the kind."""
    result = types.CPointer(kind)  # type: ignore[no-untyped-call]

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(result))

    return result(address, kind), code


def _float_of_code(_context: Any, bits: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


def _bits_of_code(_context: Any, number: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


pointer: Any = intrinsic(_pointer_code)
float_of: Any = intrinsic(_float_of_code)
bits_of: Any = intrinsic(_bits_of_code)


def wide(stored: Any) -> Any:
    """The stored number in float32."""
    raise NotImplementedError("this runs compiled only")


def narrow(number: Any, kind: Any) -> Any:
    """A float32 number in the form that is stored."""
    raise NotImplementedError("this runs compiled only")


@overload(wide, strict=False)
def _compile_wide(stored: Any) -> Any:
    if stored == types.uint16:
        return lambda stored: float_of(np.uint32(stored) << np.uint32(16))
    if stored == types.int8:
        return lambda stored: np.float32(stored)  # noqa: PLW0108 - numba compiles functions, not types
    return lambda stored: stored


@overload(narrow, strict=False)
def _compile_narrow(number: Any, kind: Any) -> Any:
    if kind == types.uint16:
        return _to_bfloat16
    return _as_it_is


def _as_it_is(number: Any, kind: Any) -> Any:
    return number


def _to_bfloat16(number: Any, kind: Any) -> Any:
    bits = bits_of(number)
    # To the nearest, ties to even; what is not a number would round to infinity.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.uint16(rounded) if number == number else np.uint16(0x7FC0)  # noqa: PLR0124 - NaN is unlike itself


@inlined
def exponential(number: Any) -> Any:
    """e to the number in arithmetic that the compiler makes vectors of, as exact as float32 allows; clamped at ±87."""
    clamped = number if number < np.float32(87) else np.float32(87)  # noqa: FURB136 - min and max prevent vectors
    clamped = clamped if clamped > np.float32(-87) else np.float32(-87)  # noqa: FURB136
    clamped *= _LOG2_E
    # To the nearest: the series below is within 2e-7 for half a step in either direction, and 8e-6 off for a whole one.
    whole = np.int32(clamped + (np.float32(-0.5) if clamped < np.float32(0) else np.float32(0.5)))
    part = clamped - np.float32(whole)
    series = np.float32(1.5403530393381606e-4)
    series = series * part + np.float32(1.3333558146428443e-3)
    series = series * part + np.float32(9.6181291076284772e-3)
    series = series * part + np.float32(5.5504108664821580e-2)
    series = series * part + np.float32(2.4022650695910072e-1)
    series = series * part + np.float32(6.9314718055994531e-1)
    series = series * part + np.float32(1.0)
    return series * float_of(np.uint32((whole + np.int32(127)) << np.int32(23)))


def stored(rows: Tensor) -> NDArray[Any]:
    """The memory of a contiguous tensor as native functions read it; float32 where they have no name for its dtype."""
    if rows.dtype not in KINDS:
        rows = rows.float()
    rows = rows.contiguous()
    return (rows.view(torch.uint16) if rows.dtype is torch.bfloat16 else rows).numpy()
