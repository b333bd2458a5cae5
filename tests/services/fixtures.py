"""Fixtures for tests that need real services: prepared weights, an installation of their own, Valkey, PostgreSQL."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.installation import ROOT, Installation
from tests.services.postgres import postgres
from tests.services.valkey import Valkey


@pytest.fixture(scope="session")
def prepared_weights() -> Path:
    """The folder of the prepared weights, which `make weights` makes once."""
    from django.conf import settings

    for home in (settings.STEELYARD_HOME, ROOT / ".steelyard"):
        if (home / "weights" / "smollm2-135m-instruct" / "conversion.json").is_file():
            return home / "weights" / "smollm2-135m-instruct"
    pytest.fail("The weights are not prepared: run `make weights`.")


@contextlib.contextmanager
def home_with(weights: Path) -> Iterator[Path]:
    """A new STEELYARD_HOME that has the prepared weights already, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="steelyard-test-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve() / "home"
        home.mkdir()
        (home / "weights").symlink_to(weights.parent)
        yield home


@pytest.fixture
def new_home(prepared_weights: Path) -> Iterator[Path]:
    """A STEELYARD_HOME of this test's own."""
    with home_with(prepared_weights) as home:
        yield home


@pytest.fixture
def installation(new_home: Path) -> Iterator[Installation]:
    """An `up` that is not started yet."""
    installation = Installation(new_home)
    yield installation
    installation.kill_everything()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty database on a real PostgreSQL."""
    with postgres() as url:
        yield url


@pytest.fixture
def start_valkey() -> Iterator[Callable[[], Valkey]]:
    """Starts real Valkey servers on TCP ports of their own, which end with the test."""
    started: list[Valkey] = []

    def start() -> Valkey:
        valkey = Valkey()
        started.append(valkey)
        return valkey

    yield start
    for valkey in started:
        valkey.close()
