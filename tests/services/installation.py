"""A real `manage.py up` in a home of its own, for tests that look at it from outside."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
# A first start takes 20 s on two idle cores; a busy machine with slow ones has taken two minutes.
START_WITHIN_S = 240.0


# Where no system takes the ports that it gives out by itself.
PORTS = range(20_000, 30_000)
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that nothing listens on, and that no other test takes as long as this process lives.

    The one of the same number for datagrams, which nobody needs, is kept as the sign that it is taken.
    """
    while True:
        port = secrets.choice(PORTS)
        sign = socket.socket(type=socket.SOCK_DGRAM)
        try:
            sign.bind(("127.0.0.1", port))
            with socket.socket() as candidate:
                candidate.bind(("127.0.0.1", port))
        except OSError:
            sign.close()
        else:
            _kept.append(sign)
            return port


def eventually(condition: Callable[[], Any], within_s: float, what: str) -> Any:
    """The condition's first true value, or a failure that names what did not happen."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def environment_of(home: Path, **extra: str) -> dict[str, str]:
    """This process's environment without what would choose other services, for an installation in `home`."""
    chosen = {
        "DATABASE_URL",
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "HOST",
        "PORT",
        "STEELYARD_ENV",
        "DJANGO_SETTINGS_MODULE",
    }
    inherited = {name: value for name, value in os.environ.items() if name not in chosen}
    return {**inherited, "STEELYARD_HOME": str(home), "PYTHONUNBUFFERED": "1", **extra}


def manage(home: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py to its end in this home."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environment_of(home, **extra), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def command_of(process: psutil.Process) -> str:
    """Its command line; empty once it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


class Installation:
    """One `manage.py up`, its log, and every process that belongs to its home."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Installation:
        with (self.home.parent / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(self.port)],
                cwd=ROOT, env=environment_of(self.home, **self.environment), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return self

    def wait_until_ready(self) -> Installation:
        self.wait_for_log("Steelyard is ready", START_WITHIN_S)
        return self

    @property
    def log(self) -> str:
        return (self.home.parent / "up.log").read_text(errors="replace")

    def wait_for_log(self, pattern: str, within_s: float = 60.0) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            if match := re.search(pattern, self.log):
                return match
            assert self.process.poll() is None, f"up ended early:\n{self.log}"
            return None

        try:
            match: re.Match[str] = eventually(found, within_s, pattern)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log}") from None
        return match

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started with this home, in whatever session."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # Valkey writes its title over its environment.
            return process.environ().get("STEELYARD_HOME") == str(self.home) or str(self.home) in str(process.cmdline())
        except psutil.Error:
            return False

    def named(self, part: str) -> psutil.Process:
        """The one process whose command line has `part` in it."""
        commands = {process: command_of(process) for process in self.processes()}
        found = [process for process, command in commands.items() if part in command]
        assert len(found) == 1, f"{part}: {list(commands.values())}\n{self.log}"
        return found[0]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def readiness(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.get("/readyz")[1] or '{"ready": false}')
        return document

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or another signal that asks for a stop; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=120)

    def kill_everything(self) -> None:
        """For a test's end: whatever is left of it."""
        for process in self.processes():
            process.kill()
        if self._process is not None:
            self._process.wait()
