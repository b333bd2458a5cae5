"""Fixtures for tests that need real services: prepared weights, an installation of their own, Valkey, PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import TransactionTestCase
from pytest_django.plugin import DjangoDbBlocker

from tests.services import databases
from tests.services.chromium import end_chromium
from tests.services.installation import ROOT, Installation
from tests.services.postgres import postgres
from tests.services.valkey import Valkey

# A person does not reach these in a minute; a suite does.
ROOM_FOR_TESTS = {"GENERATION_RATE": "1000/minute", "FEEDBACK_RATE": "1000/minute"}


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """In the place of pytest-django's, which migrates a database for every process."""
    with django_db_blocker.unblock():
        original = databases.connect_to_copy(getattr(request.config, "workerinput", {}).get("workerid", "alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: databases.restore())
        yield
    with django_db_blocker.unblock():
        try:
            connection.creation.destroy_test_db(original, verbosity=0)
        except Exception as error:  # noqa: BLE001 - as pytest-django does: the tests are over
            request.node.warn(pytest.PytestWarning(f"The test database was not dropped: {error!r}"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.drop_migrated_database()


@pytest.fixture(scope="module", autouse=True)
def _no_browser_outlives_its_module() -> Iterator[None]:
    yield
    end_chromium()


@pytest.fixture(scope="session")
def migrated_file(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Path | None:
    """A migrated SQLite database; None where the tests run on another one."""
    with django_db_blocker.unblock():
        return databases.migrated_file()


@pytest.fixture(scope="session")
def seeded_file(
    prepared_weights: Path, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Path | None:
    """The database to start installations with, as a first start would leave it but for the admin."""
    with django_db_blocker.unblock():
        return databases.seeded_file(prepared_weights.parents[1])


@pytest.fixture(scope="session")
def prepared_weights() -> Path:
    """The folder of the prepared weights, which `make weights` makes once."""
    from django.conf import settings

    for home in (settings.STEELYARD_HOME, ROOT / ".steelyard"):
        if (home / "weights" / "smollm2-135m-instruct" / "conversion.json").is_file():
            return home / "weights" / "smollm2-135m-instruct"
    pytest.fail("The weights are not prepared: run `make weights`.")


@contextlib.contextmanager
def home_with(weights: Path, database: Path | None = None) -> Iterator[Path]:
    """A new STEELYARD_HOME that has the prepared weights already, with a path short enough for sockets.

    With a copy of `database`, a start migrates and seeds nothing; in everything else it is a first start.
    """
    with tempfile.TemporaryDirectory(prefix="steelyard-test-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve() / "home"
        home.mkdir()
        (home / "weights").symlink_to(weights.parent)
        if database is not None:
            shutil.copy(database, home / "steelyard.sqlite3")
        yield home


@contextlib.contextmanager
def installation_in(home: Path, **environment: str) -> Iterator[Installation]:
    """An `up` in this home that is not started yet; nothing of it is left after the block."""
    installation = Installation(home, **environment)
    try:
        yield installation
    finally:
        installation.kill_everything()


@pytest.fixture
def new_home(prepared_weights: Path) -> Iterator[Path]:
    """A STEELYARD_HOME of this test's own, with the weights and nothing else."""
    with home_with(prepared_weights) as home:
        yield home


@pytest.fixture
def new_installation(new_home: Path) -> Iterator[Installation]:
    """An `up` that is not started yet and finds nothing."""
    with installation_in(new_home) as installation:
        yield installation


@pytest.fixture(scope="session")
def portal(prepared_weights: Path, seeded_file: Path | None) -> Iterator[Installation]:
    """One installation on the real weights, which runs for every test that leaves it running.

    Such tests come as new people and with new tokens. tests/conftest.py gives all of their files to one process.
    """
    with home_with(prepared_weights, seeded_file) as home, installation_in(home, **ROOM_FOR_TESTS) as installation:
        yield installation.start().wait_until_ready()


@pytest.fixture
def installation(prepared_weights: Path, seeded_file: Path | None) -> Iterator[Installation]:
    """An `up` that is not started yet, for tests of its processes: its worker has no weights to load.

    It finds a database that is migrated and seeded, whose variants wait for another worker.
    """
    with home_with(prepared_weights, seeded_file) as home, installation_in(home) as installation:
        if seeded_file is not None:
            with contextlib.closing(sqlite3.connect(home / "steelyard.sqlite3")) as database, database:
                database.execute("UPDATE catalog_variant SET queue = 'elsewhere'")
        yield installation


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
