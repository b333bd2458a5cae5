"""This process and the machine's memory: how much can still be had, and giving back what was freed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
# Of a container, as it sees itself (cgroup v2); meminfo shows the host's memory even there.
_CGROUP: Final = Path("/sys/fs/cgroup")


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


def return_freed_memory() -> None:
    """Give what was freed back to the system, where the allocator can be asked to.

    glibc keeps freed blocks of up to 32 MB for itself. After SmolLM2 was loaded in float32 that was 415 MB, and after
    its engine was closed 370 MB more, which another engine's weights would have had to fit beside.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(0)
