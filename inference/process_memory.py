"""This process and the machine's memory: how much can still be had, and giving back what was freed."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_MEMINFO: Final = Path("/proc/meminfo")
# Of a container, as it sees itself (cgroup v2); meminfo shows the host's memory even there.
_CGROUP: Final = Path("/sys/fs/cgroup")
# Of glibc's mallopt: from how many bytes on a block is mapped by itself; how many free ones the heap's end may have.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
# The most that glibc goes to by itself, from 128 KiB on, as blocks are freed.
_USUAL_MMAP: Final = 32 * 2**20
_MMAP_WHILE_LOADING: Final = 2**20


def available_memory() -> int | None:
    """Bytes that can be had without swapping and within the container's limit; None where the system does not tell."""
    known = [bytes_left for bytes_left in (_left_on_machine(), _left_in_container()) if bytes_left is not None]
    return min(known, default=None)


def _left_on_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _left_in_container() -> int | None:
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        # Cached files count as used and give way on demand.
        fields = (line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        reclaimable = sum(int(value) for name, value in fields if name in {"inactive_file", "active_file"})
    except (OSError, ValueError):  # no such limit: the file is missing or says "max"
        return None
    return max(0, limit - used + reclaimable)


@contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Blocks of a megabyte or more for which the heap has no room lie by themselves, and when freed go to the system.

    Else weights and what they are computed from take turns on the heap, and what is freed there leaves holes: SmolLM2
    took 550 MB at most while it was rounded to int8, or 640, and kept up to 120 of them, as it happened. For the
    seconds in which weights are laid out: meanwhile the steps of other engines in this process have their intermediate
    results' memory made anew for each layer.
    """
    mallopt = _of_c_library("mallopt")
    if mallopt is None:
        yield
        return
    with _blocks_apart.changed(1) as users:
        if users == 1:
            mallopt(_MMAP_THRESHOLD, _MMAP_WHILE_LOADING)
    try:
        yield
    finally:
        with _blocks_apart.changed(-1) as users:
            if not users:
                # glibc does not adjust them any more.
                mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
                mallopt(_TRIM_THRESHOLD, 2 * _USUAL_MMAP)


class _Users:
    """How many there are; who changes that alone sees it until it has acted on it."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def changed(self, by: int) -> Iterator[int]:
        with self._lock:
            self._count += by
            yield self._count


_blocks_apart: Final = _Users()


def return_freed_memory() -> None:
    """Give what was freed back to the system, where the allocator can be asked to.

    glibc keeps freed blocks of up to 32 MB for itself. After SmolLM2 was loaded in float32 that was 415 MB, and after
    its engine was closed 370 MB more, which another engine's weights would have had to fit beside.
    """
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_c_library(name: str) -> Callable[..., Any] | None:
    """One of glibc's own functions; None with another C library."""
    try:
        function: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return function
