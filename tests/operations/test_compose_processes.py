"""The compose file's commands as plain processes: production settings, real PostgreSQL, real Valkey, real weights."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql

from tests.services.installation import ROOT, START_WITHIN_S, environment_of, eventually, free_port
from tests.services.valkey import Valkey

pytestmark = [pytest.mark.processes, pytest.mark.weights]

HOST_NAME = "steelyard.example.org"
# What a person does on the playground, below its form.
ASK = """
import json, time, uuid
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.catalog.models import Variant
from portal.playground.services import start_generation
run = start_generation(Actor(visitor=uuid.uuid4()), variant=Variant.objects.first(),
                       prompt="Say hello.", params=SamplingParams(max_tokens=8, temperature=0.0))
deadline = time.monotonic() + 120
while run.is_active and time.monotonic() < deadline:
    time.sleep(0.2)
    run.refresh_from_db()
print("ANSWER", run.state, json.dumps(run.output))
"""


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own on the real PostgreSQL."""
    name = f"steelyard_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    scheme, _, rest = postgres_url.partition("://")
    authority, _, path = rest.partition("/")
    _, mark, options = path.partition("?")
    yield f"{scheme}://{authority}/{name}{mark}{options}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Deployment:
    """The compose file's services of ours, with its variables set to this machine's services."""

    def __init__(self, home: Path, database_url: str, redis_url: str) -> None:
        self.port = free_port()
        self._compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self._log = (home.parent / "log").open("ab")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = environment_of(
            home, STEELYARD_ENV="production", HOST="127.0.0.1", PORT=str(self.port), PATH=path,
            SECRET_KEY=secrets.token_urlsafe(50), ALLOWED_HOSTS=HOST_NAME, DATABASE_URL=database_url,
            REDIS_URL=redis_url, CELERY_BROKER_URL=f"{redis_url.rpartition('/')[0]}/1",
            EMAIL_URL="smtp://127.0.0.1:2525", STATIC_ROOT=str(home / "staticfiles"),
            FORWARDED_ALLOW_IPS="127.0.0.1", TRUST_FORWARDED_PROTO="true",
        )  # fmt: skip
        set_by_compose = set(self._compose["web"]["environment"])
        assert set_by_compose <= set(self._environment)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )

    def run_service(self, name: str) -> None:
        """One that ends, such as setup."""
        ended = self.run(*self._compose[name]["command"])
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def start_service(self, name: str) -> None:
        self._processes[name] = subprocess.Popen(
            self._compose[name]["command"], cwd=ROOT, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    def is_healthy(self, name: str) -> bool:
        kind, *test = self._compose[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(*[part.replace(":8000", f":{self.port}") for part in test]).returncode == 0

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Host": HOST_NAME, **headers})
        answer = connection.getresponse()
        answer.body = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def is_ready(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.log}"
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def stop(self, name: str) -> int:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=120)

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def deployment(new_home: Path, database_url: str, start_valkey: Callable[[], Valkey]) -> Iterator[Deployment]:
    deployment = Deployment(new_home, database_url, start_valkey().url)
    yield deployment
    deployment.close()


def test_the_compose_services_answer_a_prompt_on_postgresql_and_valkey(deployment: Deployment) -> None:
    built = deployment.run("python", "manage.py", "collectstatic", "--noinput", "--verbosity", "0")
    assert built.returncode == 0, built.stderr
    deployment.run_service("setup")
    deployment.run_service("setup")  # a second time changes nothing
    for name in ("web", "worker", "beat"):
        deployment.start_service(name)
    eventually(deployment.is_ready, START_WITHIN_S, "web, worker, database and Valkey are ready")
    assert json.loads(deployment.get("/readyz").body)["parts"].keys() == {  # type: ignore[attr-defined]
        "database", "store", "migrations", "worker"
    }  # fmt: skip
    assert deployment.is_healthy("web")
    assert deployment.is_healthy("worker")
    report = deployment.run("python", "manage.py", "doctor")
    assert report.returncode == 0, report.stdout
    assert "A web server of Steelyard answers on 127.0.0.1" in report.stdout
    assert "Workers alive: 1." in report.stdout

    redirect = deployment.get("/")
    assert (redirect.status, redirect.getheader("Location")) == (301, f"https://{HOST_NAME}/")
    page = deployment.get("/", **{"X-Forwarded-Proto": "https"})
    assert page.status == 200
    assert "SmolLM2" in page.body  # type: ignore[attr-defined]
    assert page.getheader("Strict-Transport-Security")
    assert deployment.get("/", Host="elsewhere.example.org").status == 400

    asked = deployment.run("python", "manage.py", "shell", "--command", ASK)
    answer = re.search(r'ANSWER succeeded "(.+)"', asked.stdout)
    assert answer, asked.stdout + asked.stderr + deployment.log

    assert deployment.stop("beat") == 0
    assert deployment.stop("worker") == 0
    report = deployment.run("python", "manage.py", "doctor")
    assert report.returncode == 1
    assert "Start one with `manage.py run worker`" in report.stdout
    assert deployment.stop("web") in {0, -signal.SIGTERM}  # uvicorn ends as the signal asked
    assert deployment.run("python", "manage.py", "worker_alive").returncode == 1
