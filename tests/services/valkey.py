"""A real Valkey on a TCP port of loopback, as an installation with REDIS_URL has it, for tests that stop or freeze it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time

from portal.operations.embedded_valkey import ping, valkey_binary
from tests.services.installation import eventually, free_port


class Valkey:
    """Runs from its construction until `close`. Its data stay over `stop` and `start`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="steelyard-valkey-")
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(valkey_binary()), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", self._folder.name,
             "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction", "--logfile", "log"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(lambda: ping(self.url), 20, "Valkey answers")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=20)

    def freeze(self, seconds: float) -> None:
        """Stop answering without closing a connection, then go on."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
