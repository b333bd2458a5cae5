"""What native threads agree by: whole numbers in memory that all of them see change in one order."""

from __future__ import annotations

import platform
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# numba's parts of code have no types.
_cgutils: Any = cgutils
_WHOLE: Final = ir.IntType(64)
_ORDER: Final = "seq_cst"
_BYTE: Final = ir.IntType(8)
_INT: Final = ir.IntType(32)
# By processor, LLVM's name of the instruction, and its arguments: an ARM's hint 1 is `yield`.
_RELAXING: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "AMD64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)),
    "arm64": ("llvm.aarch64.hint", (1,)),
}


def _at(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _WHOLE.as_pointer())


def _fetch_and_add_code(_context: Any, address: Any, number: Any) -> Any:
    """The whole number at the address, which grows by `number` before any other thread can look at it."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _at(builder, arguments[0]), arguments[1], _ORDER)

    return types.int64(types.int64, types.int64), code


def _load_code(_context: Any, address: Any) -> Any:
    """The whole number at the address as it is now."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_at(builder, arguments[0]), _ORDER, 8)

    return types.int64(types.int64), code


def _store_code(_context: Any, address: Any, number: Any) -> Any:
    """Makes it the whole number at the address."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], _at(builder, arguments[0]), _ORDER, 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


def _swap_code(_context: Any, address: Any, expected: Any, number: Any) -> Any:
    """Makes it the whole number at the address if `expected` stands there, and says whether that was so."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place, expected, number = arguments
        return builder.extract_value(builder.cmpxchg(_at(builder, place), expected, number, _ORDER, _ORDER), 1)

    return types.boolean(types.int64, types.int64, types.int64), code


def _mark_code(_context: Any, address: Any) -> Any:
    """Marks the byte at the address; who sees the mark sees all that was written before."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], _BYTE.as_pointer())
        builder.store_atomic(ir.Constant(_BYTE, 1), place, _ORDER, 1)
        return context.get_dummy_value()

    return types.void(types.int64), code


def _is_marked_code(_context: Any, address: Any) -> Any:
    """Whether the byte at the address is marked."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        mark = builder.load_atomic(builder.inttoptr(arguments[0], _BYTE.as_pointer()), _ORDER, 1)
        return builder.icmp_unsigned("!=", mark, ir.Constant(_BYTE, 0))

    return types.boolean(types.int64), code


def _fence_code(_context: Any) -> Any:
    """What is read before this is as it was then: an ARM may else read it later than what follows."""

    def code(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.void(), code


def _call_code(_context: Any, function_at: Any, order_at: Any, member_at: Any) -> Any:
    """Calls the native function at the address with two whole numbers."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_WHOLE, _WHOLE])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


def _relax_code(_context: Any) -> Any:
    """What a processor wants to hear in a loop that waits."""

    def code(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        if platform.machine() in _RELAXING:
            name, numbers = _RELAXING[platform.machine()]
            kind = ir.FunctionType(ir.VoidType(), [_INT] * len(numbers))
            instruction = _cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(instruction, [ir.Constant(_INT, number) for number in numbers])
        return context.get_dummy_value()

    return types.void(), code


fetch_and_add: Any = intrinsic(_fetch_and_add_code)
load: Any = intrinsic(_load_code)
store: Any = intrinsic(_store_code)
swap: Any = intrinsic(_swap_code)
mark: Any = intrinsic(_mark_code)
is_marked: Any = intrinsic(_is_marked_code)
fence: Any = intrinsic(_fence_code)
call: Any = intrinsic(_call_code)
relax: Any = intrinsic(_relax_code)
