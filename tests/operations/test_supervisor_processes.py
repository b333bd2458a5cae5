"""The supervisor and its guardian, with small programs in place of the real ones."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portal.operations import supervisor as module
from portal.operations.console import Console
from portal.operations.programs import Program
from portal.operations.supervisor import FIRST_DELAY_S, LONGEST_DELAY_S, STEADY_AFTER_S, Stopped, Stopwatch, Supervisor
from tests.services.installation import ROOT, eventually

pytestmark = pytest.mark.processes
# How long something that comes soon may take.
PATIENCE_S = 60
LASTING = "import time; time.sleep(600)"


class Bench:
    """A supervisor with its log in memory, tended by a thread until the test ends."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.stopwatch = Stopwatch()
        self.supervisor = Supervisor(Console(self.out, coloured=False), self.stopwatch)

    @property
    def log(self) -> str:
        return self.out.getvalue()

    def run_in_background(self) -> threading.Thread:
        thread = threading.Thread(target=self.supervisor.run_until_stopped)
        thread.start()
        return thread


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.stopwatch.request()
    bench.supervisor.stop()


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


def program(source: str, name: str = "web", **options: object) -> Program:
    return Program(name=name, command=python(source), **{"grace_s": 60.0, **options})  # type: ignore[arg-type]


def test_each_line_carries_its_programs_name(bench: Bench) -> None:
    bench.supervisor.add(program(f"import sys; print('out'); print('err', file=sys.stderr); {LASTING}"))
    eventually(lambda: "web    | out" in bench.log and "web    | err" in bench.log, PATIENCE_S, "both lines")


def test_a_dead_program_starts_again_later_each_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY_S", 0.05)
    bench.supervisor.add(program("raise SystemExit(3)"))
    one = bench.supervisor._supervised[0]
    one.delay_s = 0.05
    thread = bench.run_in_background()
    eventually(lambda: "exited with status 3; starting it again in 0.4 s" in bench.log, PATIENCE_S, "the fourth death")
    bench.stopwatch.request()
    thread.join()
    delays = [line.rsplit(" ", 2)[1] for line in bench.log.splitlines() if "starting it again" in line]
    assert delays[:4] == ["0.05", "0.1", "0.2", "0.4"]


def test_the_delay_is_bounded_and_begins_again_after_a_steady_run() -> None:
    supervised = module._Supervised(program("pass"))
    delays = [supervised.delay_after_exit(now=1.0) for _ in range(12)]
    assert delays[0] == FIRST_DELAY_S
    assert delays[-1] == LONGEST_DELAY_S
    assert delays == sorted(delays)
    assert supervised.delay_after_exit(now=1.0 + STEADY_AFTER_S) == FIRST_DELAY_S


def test_what_keeps_a_restart_from_starting_is_said_and_tried_again(bench: Bench) -> None:
    attempts = []

    def prepare() -> None:
        attempts.append(1)
        if len(attempts) == 2:
            raise RuntimeError("the folder is in use")

    bench.supervisor.add(program("raise SystemExit(0)", prepare=prepare))
    thread = bench.run_in_background()
    eventually(lambda: len(attempts) >= 3, PATIENCE_S, "a third try")
    bench.stopwatch.request()
    thread.join()
    assert "web cannot start: the folder is in use" in bench.log


def test_programs_are_ended_in_reverse_order_and_by_force_after_their_grace(bench: Bench, tmp_path: Path) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {LASTING}"
    bench.supervisor.add(program(LASTING, name="valkey"))
    bench.supervisor.add(program(deaf, name="worker", grace_s=0.5))
    eventually(lambda: "deaf" in bench.log, PATIENCE_S, "the deaf one runs")
    processes = [one.process for one in bench.supervisor._supervised]
    started = time.monotonic()
    bench.supervisor.stop()
    assert time.monotonic() - started >= 0.5
    assert bench.log.index("stopping worker") < bench.log.index("stopping valkey")
    assert [process.returncode for process in processes if process] == [-signal.SIGTERM, -signal.SIGKILL]
    bench.supervisor = Supervisor(Console(bench.out, coloured=False), bench.stopwatch)


def test_a_grandchild_ends_with_its_program(bench: Bench) -> None:
    family = (
        "import subprocess, sys;"
        f"print(subprocess.Popen([sys.executable, '-c', {LASTING!r}]).pid, flush=True); {LASTING}"
    )
    bench.supervisor.add(program(family))
    pid = int(eventually(lambda: bench.log.strip().rpartition("| ")[2], PATIENCE_S, "the grandchild's id"))
    process = bench.supervisor._supervised[0].process
    assert process is not None
    process.kill()
    process.wait()
    bench.supervisor.tend()
    eventually(lambda: not alive(pid), PATIENCE_S, "the grandchild has ended")


def test_waiting_ends_as_soon_as_a_stop_is_requested(bench: Bench) -> None:
    bench.supervisor.add(program(LASTING, is_ready=lambda: False))
    threading.Timer(0.3, bench.stopwatch.request).start()
    with pytest.raises(Stopped):
        bench.supervisor.wait_until_ready("web")


def test_waiting_says_for_what(bench: Bench) -> None:
    give_up_at = time.monotonic() + PATIENCE_S

    def is_ready() -> bool:
        return "still waiting" in bench.log or time.monotonic() > give_up_at

    bench.supervisor.add(program(LASTING, is_ready=is_ready))
    bench.supervisor.wait_until_ready("web", patience_s=0.3)
    assert "still waiting for web" in bench.log


def test_a_single_command_returns_its_status_or_is_ended_by_a_stop(bench: Bench) -> None:
    assert bench.supervisor.run_once(python("raise SystemExit(7)")) == 7
    threading.Timer(0.5, bench.stopwatch.request).start()
    with pytest.raises(Stopped):
        bench.supervisor.run_once(python(LASTING))


def test_a_console_whose_terminal_is_gone_raises_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    Console(closed, coloured=True).line("up", "nobody reads this")


def test_colours_are_for_terminals() -> None:
    out = io.StringIO()
    Console(out, coloured=True).line("web", "a\nb")
    assert out.getvalue().count("\x1b[32m") == 2


PARENT = """
import sys, threading, time
from django.conf import settings
settings.configure(BASE_DIR=%(root)r)
from portal.operations.console import Console
from portal.operations.programs import Program
from portal.operations.supervisor import Stopwatch, Supervisor
supervisor = Supervisor(Console(sys.stdout, coloured=False), Stopwatch())
supervisor.add(Program(name="web", command=(sys.executable, "-c", %(child)r), grace_s=1.0))
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("child", [LASTING, "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"])
def test_no_child_outlives_a_parent_that_is_killed(child: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT % {"root": str(ROOT), "child": child}],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2  # the guardian and the child
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, living = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert [process for process in living if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_child_is_known_to_the_guardian_before_it_becomes_its_command() -> None:
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [*module._GUARDIAN, "join", str(write_end), sys.executable, "-c", LASTING],
        start_new_session=True, pass_fds=[write_end],
    )  # fmt: skip
    os.close(write_end)
    try:
        assert os.read(read_end, 100) == f"+{child.pid}\n".encode()
        # Its end of the pipe is closed when it has become its command.
        assert os.read(read_end, 100) == b""
    finally:
        child.kill()
        child.wait()
        os.close(read_end)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
