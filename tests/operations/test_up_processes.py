"""`manage.py up` from outside: real processes in a home of their own."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from portal.operations.embedded_valkey import ping
from tests.services.fixtures import home_with, installation_in
from tests.services.installation import Installation, command_of, eventually, manage

pytestmark = [pytest.mark.processes, pytest.mark.weights]


def socket_url(installation: Installation) -> str:
    return f"unix://{installation.home / 'valkey' / 'valkey.sock'}"


def gone(installation: Installation) -> bool:
    return not installation.processes()


@pytest.fixture
def loaded_installation(prepared_weights: Path, seeded_file: Path | None) -> Iterator[Installation]:
    """An `up` that is not started yet, whose worker will load the real weights."""
    with home_with(prepared_weights, seeded_file) as home, installation_in(home) as installation:
        yield installation


def test_first_start_makes_an_admin_and_second_start_makes_none(
    new_installation: Installation,
) -> None:
    installation = new_installation
    installation.start().wait_until_ready()
    password = installation.wait_for_log(r"sign in as admin with the password (\S+)").group(1)
    assert "seeded: 1 card, 4 variants, 7 questionnaires\n" in installation.log
    assert installation.log.count(password) == 1
    assert installation.get("/healthz") == (200, "ok\n")
    # On a busy machine, a look at a part may take longer than it waits for one.
    eventually(lambda: installation.readiness()["ready"], 120, "ready")
    assert installation.get("/")[0] == 200
    with redis.Redis.from_url(socket_url(installation)) as client:
        client.set("kept", "1")
    assert installation.interrupt() == 0
    assert gone(installation)

    installation.start().wait_until_ready()
    assert "password" not in installation.log
    assert "seeded" not in installation.log
    assert "overcommit" not in installation.log
    with redis.Redis.from_url(socket_url(installation)) as client:
        assert client.get("kept") == b"1"
    assert installation.interrupt(signal.SIGTERM) == 0
    assert gone(installation)
    order = [installation.log.index(f"stopping {name}") for name in ("web", "worker", "valkey")]
    assert order == sorted(order)
    assert installation.log.rstrip().endswith("stopped")


# What a person does on the playground, below its form: ask, and wait until the answer begins.
ASK = """
import time, uuid
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.catalog.models import Variant
from portal.playground.services import start_generation
run = start_generation(Actor(visitor=uuid.uuid4()), variant=Variant.objects.first(),
                       prompt="Tell a long story.", params=SamplingParams(max_tokens=2000, min_tokens=2000))
while run.state == "queued":
    time.sleep(0.05)
    run.refresh_from_db()
print("STATE", run.state)
"""
LOOK = "from portal.playground.models import Generation; print('STATE', Generation.objects.get().state)"


def test_ctrl_c_ends_a_running_prompt_too_and_loses_none(loaded_installation: Installation) -> None:
    installation = loaded_installation
    installation.start().wait_until_ready()
    assert "STATE running" in manage(installation.home, "shell", "--command", ASK).stdout
    assert installation.interrupt() == 0
    assert gone(installation)
    # Finished within the grace, or given back for the next start.
    assert re.search("STATE (succeeded|queued)", manage(installation.home, "shell", "--command", LOOK).stdout)


def test_kill_9_of_up_leaves_nothing_behind(installation: Installation) -> None:
    installation.start().wait_until_ready()
    installation.process.kill()
    installation.process.wait()
    eventually(lambda: gone(installation), 60, "every child has ended")


def test_kill_9_of_up_leaves_nothing_behind_when_its_guardian_was_killed_before(installation: Installation) -> None:
    installation.start().wait_until_ready()
    first = installation.named("guardian.py")
    first.kill()
    # The next child that starts finds a new guardian, which knows the older ones as well.
    installation.named("uvicorn").kill()
    eventually(lambda: installation.get("/healthz")[0] == 200, 120, "web is back")
    assert installation.named("guardian.py").pid != first.pid
    installation.process.kill()
    installation.process.wait()
    eventually(lambda: gone(installation), 60, "every child has ended")


def test_a_killed_child_comes_back_and_a_second_ctrl_c_does_not_wait_for_a_frozen_one(
    installation: Installation,
) -> None:
    # Longer than an interrupted `up` is waited for.
    installation.environment["GENERATION_SHUTDOWN_GRACE_S"] = "600"
    installation.start().wait_until_ready()
    for part in ("valkey-server", "celery", "uvicorn"):
        killed = installation.named(part)
        killed.kill()
        eventually(
            lambda part=part, killed=killed: any(
                part in command_of(process) and process.pid != killed.pid for process in installation.processes()
            ),
            60,
            f"{part} is back",
        )
        eventually(lambda: installation.readiness()["ready"], 120, f"ready again after {part} was killed")
    for name in ("valkey", "worker", "web"):
        assert f"{name} was ended by SIGKILL; starting it again in 0.5 s" in installation.log
    assert "PendingDeprecationWarning" not in installation.log

    installation.named("celery").suspend()
    installation.process.send_signal(signal.SIGHUP)
    installation.wait_for_log("stopping worker")
    assert installation.interrupt() == 0
    assert gone(installation)


def test_a_valkey_that_an_earlier_run_left_is_ended_and_its_data_kept(installation: Installation) -> None:
    installation.start().wait_until_ready()
    exe = installation.named("valkey-server").exe()
    data = installation.home / "valkey"
    assert installation.interrupt(signal.SIGHUP) == 0

    socket = data / "valkey.sock"
    orphan = subprocess.Popen(
        [exe, "--port", "0", "--unixsocket", str(socket), "--dir", str(data), "--pidfile", str(data / "valkey.pid"),
         "--appendonly", "yes"],
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        eventually(lambda: ping(f"unix://{socket}"), 60, "the leftover answers")
        installation.start().wait_until_ready()
        assert orphan.poll() is not None
        assert installation.named("valkey-server").pid != orphan.pid
    finally:
        orphan.kill()
        orphan.wait()
