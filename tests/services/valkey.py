"""A real Valkey on a TCP port of loopback, as behind REDIS_URL, for tests that stop or freeze it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from portal.operations.embedded_valkey import ping, valkey_binary
from tests.services.installation import eventually, free_port


class Valkey:
    """Runs from its construction until `close`. As in the product, its data stay over `stop` and `start`, and a kill
    may cost what was written in the last second."""

    def __init__(self, socket: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="steelyard-valkey-")
        if socket is None:
            port = free_port()
            self.url = f"redis://127.0.0.1:{port}/0"
            self._address = ("--port", str(port), "--bind", "127.0.0.1")
        else:
            self.url = f"unix://{socket}?db=0"
            self._address = ("--port", "0", "--unixsocket", str(socket))
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(valkey_binary()), *self._address, "--dir", self._folder.name, "--appendonly", "yes",
             "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction", "--logfile", "log"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(lambda: ping(self.url), 60, "Valkey answers")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=60)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Answers nothing meanwhile, without closing a connection."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def freeze(self, seconds: float) -> None:
        """Stop answering without closing a connection, then go on."""
        with self.halted():
            time.sleep(seconds)

    def restart_empty(self) -> None:
        """End, lose everything on disk, and start."""
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="steelyard-valkey-")
        self.start()

    def flush(self) -> None:
        """Lose every key while running."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
