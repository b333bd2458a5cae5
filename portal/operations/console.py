"""The one log of `manage.py up`: every line with the time and its process's name, coloured on a terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import IO, Final

_COLOURS: Final = {"up": "36", "valkey": "35", "worker": "33", "web": "32"}
_NAME_WIDTH: Final = max(map(len, _COLOURS))


class Console:
    """Writes whole lines from several threads. A terminal that went away must not stop the processes."""

    def __init__(self, out: IO[str], *, coloured: bool) -> None:
        self._out = out
        self._coloured = coloured
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Print each line of `text` behind the name of the process that said it."""
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{_NAME_WIDTH}} |"
        if self._coloured:
            prefix = f"\x1b[{_COLOURS.get(name, '37')}m{prefix}\x1b[0m"
        with self._lock, contextlib.suppress(OSError, ValueError):
            for part in text.splitlines() or [""]:
                self._out.write(f"{prefix} {part}\n")
            self._out.flush()
