"""The backend for SQLite: writers wait for their turn, and it is given back however their writing ends."""

from __future__ import annotations

import gc
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections, transaction
from django.db.utils import ConnectionHandler

from portal.sqlite_turns.base import DatabaseWrapper
from tests.services.installation import ROOT

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]

Open = Callable[[], DatabaseWrapper]
WITH_A_LOG = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
COUNT_UP = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    database.execute("BEGIN IMMEDIATE")
    (number,) = database.execute("SELECT number FROM counter").fetchone()
    database.execute("UPDATE counter SET number = ?", [number + 1])
    database.commit()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "counter.sqlite3"


@pytest.fixture
def open_database(file: Path) -> Iterator[Open]:
    """Makes connections to one database with a counter, of a short patience unless a test has another one."""
    opened: list[DatabaseWrapper] = []

    def connect(timeout: float = 0.2, init_command: str = WITH_A_LOG) -> DatabaseWrapper:
        options = {"timeout": timeout, "transaction_mode": "IMMEDIATE", "init_command": init_command}
        configured = {"default": {"ENGINE": "portal.sqlite_turns", "NAME": file, "OPTIONS": options}}
        settings = ConnectionHandler(configured)["default"].settings_dict
        database = DatabaseWrapper(settings, "default")
        database.inc_thread_sharing()
        opened.append(database)
        return database

    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.executescript("CREATE TABLE counter (number INTEGER UNIQUE); INSERT INTO counter VALUES (0)")
    yield connect
    for database in opened:
        database.close()


def execute(database: DatabaseWrapper, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def number_in(database: DatabaseWrapper) -> int:
    ((number,),) = execute(database, "SELECT number FROM counter")
    return int(number)


def begin(database: DatabaseWrapper) -> None:
    execute(database, "BEGIN IMMEDIATE")


def may_write(database: DatabaseWrapper) -> bool:
    """Whether nobody has the turn, as another connection of this process finds."""
    try:
        execute(database, "UPDATE counter SET number = number")
    except OperationalError as error:
        assert str(error) == "database is locked"  # noqa: PT017 - what else it may be is a failure
        return False
    return True


def test_threads_and_another_process_that_read_and_then_write_lose_nothing(file: Path, open_database: Any) -> None:
    threads, times = 6, 40

    def count_up() -> None:
        database = open_database(60.0)
        for _ in range(times):
            begin(database)
            execute(database, "UPDATE counter SET number = %s", [number_in(database) + 1])
            database.commit()

    command = [sys.executable, "-c", COUNT_UP, str(file), str(times)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(count_up) for _ in range(threads)]:
                each.result()
        assert other.wait(60) == 0
    assert number_in(open_database()) == (threads + 1) * times


def commit(database: DatabaseWrapper) -> None:
    begin(database)
    database.commit()


def roll_back(database: DatabaseWrapper) -> None:
    begin(database)
    database.rollback()


def close_in_a_transaction(database: DatabaseWrapper) -> None:
    begin(database)
    database.close()


def break_a_rule(database: DatabaseWrapper) -> None:
    with pytest.raises(IntegrityError):
        execute(database, "INSERT INTO counter VALUES (0)")


def write_what_is_no_sql(database: DatabaseWrapper) -> None:
    with pytest.raises(OperationalError):
        execute(database, "UPDATE nothing SET number = 1")


def begin_twice(database: DatabaseWrapper) -> None:
    begin(database)
    with pytest.raises(OperationalError, match="within a transaction"):
        begin(database)
    database.rollback()


def commit_by_a_statement(database: DatabaseWrapper) -> None:
    begin(database)
    execute(database, "COMMIT")


def write_many(database: DatabaseWrapper) -> None:
    with database.cursor() as cursor:
        cursor.executemany("INSERT INTO counter VALUES (%s)", [[1], [2], [3]])
    assert len(execute(database, "SELECT number FROM counter")) == 4


@pytest.mark.parametrize(
    "write",
    [
        commit,
        roll_back,
        close_in_a_transaction,
        break_a_rule,
        write_what_is_no_sql,
        begin_twice,
        commit_by_a_statement,
        write_many,
    ],
)
def test_the_turn_is_given_back_however_writing_ends(open_database: Open, write: Callable[[Any], None]) -> None:
    write(open_database())
    assert may_write(open_database())


def test_a_thread_that_ends_inside_a_transaction_gives_its_turn_back(open_database: Open) -> None:
    settings = open_database().settings_dict

    def leave() -> None:
        database = DatabaseWrapper(settings, "default")
        begin(database)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    gc.collect()
    assert may_write(open_database())


def test_who_waits_too_long_is_told_that_the_database_is_locked(open_database: Open) -> None:
    writer, other = open_database(), open_database()
    begin(writer)
    with pytest.raises(OperationalError, match="database is locked") as refused:
        begin(other)
    assert getattr(refused.value.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    assert number_in(other) == 0, "reading waits for nobody"
    writer.commit()
    begin(other)
    other.commit()


def test_another_process_that_writes_for_too_long_locks_the_database_too(file: Path, open_database: Open) -> None:
    database = open_database()
    with closing(sqlite3.connect(file, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"):
            begin(database)
        assert not may_write(database)
        foreign.execute("COMMIT")
    assert may_write(database), "the turn was given back"


def test_a_statement_that_found_the_database_busy_is_carried_out_once(file: Path, open_database: Any) -> None:
    database = open_database(60.0)
    number_in(database)
    tried = threading.Event()
    # SQLite says so each time before a statement is tried.
    database.connection.set_trace_callback(lambda statement: tried.set() if "number + 1" in statement else None)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("UPDATE counter SET number = 10")

        def let_go() -> None:
            assert tried.wait(30)
            foreign.execute("COMMIT")

        with ThreadPoolExecutor(1) as pool:
            letting_go = pool.submit(let_go)
            execute(database, "UPDATE counter SET number = number + 1")
            letting_go.result()
    assert number_in(database) == 11


def test_what_was_read_before_another_ones_write_is_refused_at_once(file: Path, open_database: Any) -> None:
    database = open_database(60.0)
    with closing(sqlite3.connect(file, isolation_level=None)) as foreign:
        execute(database, "BEGIN")
        assert number_in(database) == 0
        foreign.execute("UPDATE counter SET number = 5")
        with pytest.raises(OperationalError, match="locked"):
            execute(database, "UPDATE counter SET number = 6")
        database.rollback()
    assert may_write(open_database())


def test_rows_written_together_beside_another_writer_are_written_once_each(file: Path, open_database: Any) -> None:
    database, wanted = open_database(60.0), [[number] for number in range(1, 3_000)]
    stop = threading.Event()

    def disturb() -> None:
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as foreign:
            while not stop.is_set():
                foreign.execute("UPDATE other SET number = number + 1")

    execute(database, "CREATE TABLE other (number INTEGER)")
    execute(database, "INSERT INTO other VALUES (0)")
    execute(database, "CREATE TABLE many (number INTEGER)")
    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(disturb)
        with database.cursor() as cursor:
            cursor.executemany("INSERT INTO many VALUES (%s)", wanted)
        stop.set()
        disturbing.result()
    assert [[number] for (number,) in execute(database, "SELECT number FROM many ORDER BY rowid")] == wanted


def test_rows_of_which_one_is_refused_are_not_written(open_database: Open) -> None:
    database = open_database()
    with pytest.raises(IntegrityError), database.cursor() as cursor:
        cursor.executemany("INSERT INTO counter VALUES (%s)", [[1], [2], [0]])
    assert execute(database, "SELECT number FROM counter") == [(0,)]
    assert may_write(open_database())


def test_a_commit_waits_for_readers_where_there_is_no_log_beside_the_file(file: Path, open_database: Any) -> None:
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=DELETE")
    database = open_database(60.0, init_command="PRAGMA synchronous=OFF")
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT number FROM counter").fetchall()

        def let_go() -> None:
            # Longer than SQLite itself would wait here.
            time.sleep(0.1)
            reader.execute("COMMIT")

        begin(database)
        execute(database, "UPDATE counter SET number = 1")
        with ThreadPoolExecutor(1) as pool:
            letting_go = pool.submit(let_go)
            database.commit()
            letting_go.result()
    assert number_in(database) == 1


def test_where_waiting_would_not_help_nobody_waits(file: Path, open_database: Any) -> None:
    database, tries = open_database(60.0), list[str]()
    execute(database, "CREATE TABLE many (number INTEGER)")
    execute(database, "INSERT INTO many SELECT value FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3)")
    with database.cursor() as half_read, closing(sqlite3.connect(file, isolation_level=None)) as foreign:
        half_read.execute("SELECT number FROM many")
        assert half_read.fetchone() is not None
        database.connection.set_trace_callback(tries.append)
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("UPDATE counter SET number = 1")
        with pytest.raises(OperationalError, match="database is locked"):
            execute(database, "UPDATE counter SET number = 2")
        foreign.execute("COMMIT")
    assert len([each for each in tries if each.startswith("UPDATE")]) == 1
    assert may_write(open_database())


FROZEN = """
import sys
import threading
from django.conf import settings
settings.configure()
from django.db.utils import ConnectionHandler
options = {"timeout": 3, "transaction_mode": "IMMEDIATE"}
databases = ConnectionHandler({"default": {"ENGINE": "portal.sqlite_turns", "NAME": sys.argv[1], "OPTIONS": options}})

def add_one():
    with databases["default"].cursor() as cursor:
        cursor.execute("UPDATE counter SET number = number + 1")

with databases["default"].cursor() as cursor:
    cursor.execute("BEGIN IMMEDIATE")
waiting = threading.Thread(target=add_one)
waiting.start()
print("waits", flush=True)
input()
databases["default"].rollback()
waiting.join()
"""


def test_a_process_that_was_frozen_has_not_waited_meanwhile(file: Path, open_database: Open) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FROZEN, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as frozen:
        assert frozen.stdin is not None
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "waits\n"
        frozen.send_signal(signal.SIGSTOP)
        time.sleep(3.5)
        frozen.send_signal(signal.SIGCONT)
        # When its other thread is done, somebody else is not, for longer than what a freeze would leave.
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as foreign:
            frozen.stdin.write("\n")
            frozen.stdin.flush()
            foreign.execute("BEGIN IMMEDIATE")
            time.sleep(0.6)
            foreign.execute("COMMIT")
        assert frozen.wait(60) == 0
    assert number_in(open_database()) == 1


def test_the_product_has_this_backend_and_long_transactions_take_turns_by_it() -> None:
    database = connections["default"]
    assert isinstance(database, DatabaseWrapper)
    with transaction.atomic():
        assert database.connection.in_transaction
