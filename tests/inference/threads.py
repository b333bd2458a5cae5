"""The threads of this process, as tests see them: those of crews, and one to act in."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def crews_threads() -> dict[int, tuple[str, int]]:
    """State and processor time, in ns, of those that get a core when nobody else wants it."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            if os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE:
                state = (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
                found[int(task.name)] = state, int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def in_a_thread(act: Callable[[], T]) -> T:
    """What the act returns in a thread that ends with it; raises what it raises."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(act).result()
