"""The machine that something was measured on, in the few words that its numbers depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")


def describe_machine() -> dict[str, Any]:
    """Processor, usable cores, memory, system, and how busy the machine is now (runnable tasks over a minute)."""
    return {
        "processor": _field(_CPUINFO, "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _field(file: Path, name: str) -> str:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def _memory_bytes() -> int | None:
    words = _field(_MEMINFO, "MemTotal").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None
