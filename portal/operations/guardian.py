"""Ends every child process group when `manage.py up` is gone, however it went. Standard library only, run as a script.

`guardian.py watch` reads process groups from stdin: `+PGID` to remember, `-PGID` to forget. The pipe's end means that
nobody holds its other side any more; then each remembered group gets SIGTERM, and SIGKILL after GRACE_S.
`guardian.py join FD COMMAND…` writes its own group to FD and becomes COMMAND. It holds the pipe until it has
written, so there is no moment in which a child runs that the guardian does not know.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 8.0
_POLL_S = 0.05


def watch(lines: Iterable[str]) -> None:
    """Remember groups until the lines end, then end them."""
    groups: set[int] = set()
    for line in lines:
        change, group = line[0], int(line[1:])
        if change == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end_groups(groups)


def end_groups(groups: set[int], grace_s: float = GRACE_S) -> None:
    """SIGTERM to each group, then SIGKILL to those that still have members after the grace."""
    for group in groups:
        _signal(group, signal.SIGTERM)
        # A stopped process takes SIGTERM only when it goes on.
        _signal(group, signal.SIGCONT)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline:
        groups = {group for group in groups if _signal(group, 0)}
        if not groups:
            return
        time.sleep(_POLL_S)
    for group in groups:
        _signal(group, signal.SIGKILL)


def join(descriptor: int, command: list[str]) -> None:
    """Make this process's group known, then become the command."""
    os.write(descriptor, f"+{os.getpgrp()}\n".encode())
    os.close(descriptor)
    os.execvp(command[0], command)  # noqa: S606 - this is the point of the script


def _signal(group: int, number: int) -> bool:
    """False when no process of that group is left."""
    with contextlib.suppress(PermissionError):  # macOS says this of a group of zombies
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return False
        return True
    return False


if __name__ == "__main__":
    if sys.argv[1] == "watch":
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        watch(sys.stdin)
    else:
        join(int(sys.argv[2]), sys.argv[3:])
