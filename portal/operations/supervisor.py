"""Keeps processes running: starts them in order, brings a dead one back with back-off, stops them in reverse order.

Every process is the leader of a session of its own, so that a Ctrl-C at the terminal reaches only the supervisor, which
then decides the order; and the guardian knows each, so that none outlives a supervisor that was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from django.conf import settings

from portal.operations import guardian
from portal.operations.console import Console
from portal.operations.programs import Program, child_environment

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
# A process that ran this long is taken for healthy, so its next death starts again from the first delay.
STEADY_AFTER_S: Final = 60.0
_POLL_S: Final = 0.1
_GUARDIAN: Final = [sys.executable, "-I", "-S", str(Path(guardian.__file__).resolve())]


class Stopped(Exception):
    """Raised from a wait when a stop was requested."""


class Stopwatch:
    """The request to stop: the first asks, the second hurries."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.hurried = False

    def request(self, *_signal_and_frame: object) -> None:
        self.hurried = self._event.is_set()
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, or raise Stopped as soon as a stop is requested."""
        if self._event.wait(seconds):
            raise Stopped


class Warden:
    """The near end of the guardian: spawns processes that cannot outlive this one."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._start_guardian()

    def spawn(
        self, command: Sequence[str], environment: dict[str, str], *, relayed: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own; `relayed` gives its output, both streams as one, to a pipe."""
        self._keep_guardian()
        process = subprocess.Popen(  # noqa: S603
            [*_GUARDIAN, "join", str(self._pipe), *command],
            env=child_environment(environment),
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._pipe],
            stdout=subprocess.PIPE if relayed else None,
            stderr=subprocess.STDOUT if relayed else None,
        )
        self._groups.add(process.pid)
        return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """End what is left of an ended process's group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._groups.discard(process.pid)
        with contextlib.suppress(OSError):
            os.write(self._pipe, f"-{process.pid}\n".encode())

    def close(self) -> None:
        """Let the guardian end, after it has ended whatever is left."""
        os.close(self._pipe)
        self._guardian.wait()

    def _start_guardian(self) -> None:
        read_end, self._pipe = os.pipe()
        self._guardian = subprocess.Popen(  # noqa: S603
            [*_GUARDIAN, "watch"], stdin=read_end, start_new_session=True
        )
        os.close(read_end)

    def _keep_guardian(self) -> None:
        if self._guardian.poll() is not None:
            os.close(self._pipe)
            self._start_guardian()
            os.write(self._pipe, "".join(f"+{group}\n" for group in self._groups).encode())


class _Supervised:
    """One program, its present process, and when it may start again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.delay_s = FIRST_DELAY_S
        self.start_at = 0.0

    def delay_after_exit(self, now: float) -> float:
        """How long to wait before the next start: doubles with each early death."""
        if now - self.started_at >= STEADY_AFTER_S:
            self.delay_s = FIRST_DELAY_S
        delay = self.delay_s
        self.delay_s = min(self.delay_s * 2, LONGEST_DELAY_S)
        return delay


class Supervisor:
    """Runs programs until a stop is requested."""

    def __init__(self, console: Console, stopwatch: Stopwatch) -> None:
        self._console = console
        self._stopwatch = stopwatch
        self._warden = Warden()
        self._supervised: list[_Supervised] = []

    def add(self, program: Program) -> None:
        """Start a program now and keep it running from now on."""
        supervised = _Supervised(program)
        self._supervised.append(supervised)
        self._start(supervised)

    def wait_until_ready(self, name: str, patience_s: float = 30.0) -> None:
        """Return when the program says that it is ready; meanwhile keep everything running.

        Raises Stopped when a stop is requested. Says every `patience_s` that it is still waiting.
        """
        supervised = next(one for one in self._supervised if one.program.name == name)
        told_at = time.monotonic()
        while not (supervised.process and supervised.process.poll() is None and supervised.program.is_ready()):
            self.tend()
            self._stopwatch.pause(_POLL_S)
            if time.monotonic() - told_at > patience_s:
                told_at = time.monotonic()
                self._console.line("up", f"still waiting for {name}")

    def run_until_stopped(self) -> None:
        """Keep everything running; return when a stop is requested."""
        with contextlib.suppress(Stopped):
            while True:
                self.tend()
                self._stopwatch.pause(_POLL_S)

    def run_once(self, command: Sequence[str], stop_signal: signal.Signals = signal.SIGINT) -> int:
        """Run a command on this terminal to its end and return its status. Raises Stopped after ending it."""
        process = self._warden.spawn(command, {})
        try:
            while process.poll() is None:
                self._stopwatch.pause(_POLL_S)
        except Stopped:
            self._end(process, stop_signal, grace_s=5.0)
            raise
        finally:
            self._warden.forget(process)
        return cast("int", process.returncode)

    def tend(self) -> None:
        """One look at every program: note deaths, start what is due."""
        now = time.monotonic()
        for one in self._supervised:
            if one.process is not None and one.process.poll() is not None:
                delay = one.delay_after_exit(now)
                one.start_at = now + delay
                self._warden.forget(one.process)
                self._console.line(
                    "up",
                    f"{one.program.name} {_how_it_ended(one.process.returncode)}; starting it again in {delay:g} s",
                )
                one.process = None
            if one.process is None and now >= one.start_at:
                self._start_again(one, now)

    def stop(self) -> None:
        """End everything, last started first, each within its grace."""
        for one in reversed(self._supervised):
            if one.process is not None:
                self._console.line("up", f"stopping {one.program.name}")
                self._end(one.process, signal.SIGTERM, one.program.grace_s)
                self._warden.forget(one.process)
                one.process = None
        self._warden.close()

    def _start_again(self, one: _Supervised, now: float) -> None:
        try:
            self._start(one)
        except (OSError, RuntimeError) as error:
            # What stands in its way now may be gone at the next try; at the first start it is the caller's to judge.
            one.start_at = now + one.delay_after_exit(now)
            self._console.line("up", f"{one.program.name} cannot start: {error}")

    def _start(self, one: _Supervised) -> None:
        one.program.prepare()
        one.started_at = time.monotonic()
        one.process = self._warden.spawn(one.program.command, one.program.environment, relayed=True)
        threading.Thread(target=self._relay, args=(one.program, one.process), daemon=True).start()

    def _relay(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                if not any(known in text for known in program.unshown):
                    self._console.line(program.name, text)

    def _end(self, process: subprocess.Popen[bytes], stop_signal: signal.Signals, grace_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop_signal)
        deadline = time.monotonic() + grace_s
        while process.poll() is None and time.monotonic() < deadline and not self._stopwatch.hurried:
            time.sleep(_POLL_S / 2)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"


def request_stop_on_signals(stopwatch: Stopwatch) -> Callable[[], None]:
    """Ctrl-C, SIGTERM and a closed terminal request a stop. Returns what puts the earlier handlers back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {number: signal.signal(number, stopwatch.request) for number in numbers}

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    return restore
