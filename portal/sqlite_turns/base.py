"""SQLite has one writer at a time. Whoever finds it busy sleeps and looks again, after 1, 2, 5, 10, 15 ms and so on.

Where many write for a moment each, nearly all of that is lost: eight answers that ended together were stored within
60 ms, in which the database was idle for 45. So the threads of a process stand in a queue, and only the first of them
looks, every other millisecond, whether another process is done.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from django.db.backends.sqlite3 import base

from portal.sqlite_turns.writers_queue import Patience, WritersQueue

# Of these SQLite sleeps one, looks, sleeps the other one, looks, and says that it is busy.
LOOK_AGAIN_MS: Final = 2
# Where it said so sooner, waiting would not help: the connection itself reads what was written since.
_WAITED_S: Final = LOOK_AGAIN_MS / 2_000
# What begins so outside a transaction needs the writer's place. What is not among them takes its chances.
WRITING: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")
PRIMARY_CODE: Final = 0xFF

P = ParamSpec("P")
R = TypeVar("R")


_queues: Final[dict[str, WritersQueue]] = {}


class TurnTakingConnection(sqlite3.Connection):
    """Takes this process's turn to write before it begins to, and gives it back once no transaction is open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._has_turn = False
        super().__init__(*args, **kwargs)
        self._queue = WritersQueue()
        self._patience_s = 0.0

    def take_turns(self, queue: WritersQueue, patience_s: float) -> None:
        """Stand in `queue` before writing. Raises OperationalError, that the database is locked, after `patience_s`."""
        self._queue, self._patience_s = queue, patience_s
        self.execute(f"PRAGMA busy_timeout = {LOOK_AGAIN_MS}")

    def run(self, statement: str, execute: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Execute a statement once it is its turn and the database is free."""
        patience = Patience(self._patience_s)
        if not self._has_turn and statement.startswith(WRITING) and not self.in_transaction:
            self._take_turn(patience)
        try:
            while True:
                began = time.monotonic()
                try:
                    return execute(*args, **kwargs)
                except sqlite3.OperationalError as error:
                    waited_s = time.monotonic() - began
                    patience.spend(waited_s)
                    if not _is_busy(error) or patience.left_s <= 0 or waited_s < _WAITED_S:
                        raise
        finally:
            self._settle()

    def commit(self) -> None:
        """Commit, and let others write."""
        self.run("COMMIT", super().commit)

    def rollback(self) -> None:
        """Roll back, and let others write."""
        try:
            super().rollback()
        finally:
            self._settle()

    def close(self) -> None:
        """Close, which rolls back, and let others write."""
        try:
            super().close()
        finally:
            self._give_turn_back()

    def __del__(self) -> None:
        # A thread that ends in a transaction closes nothing. From Python 3.12 on this is what does.
        finish = getattr(super(), "__del__", None)
        if finish is not None:
            finish()
        if self._has_turn:
            self._has_turn = False
            self._queue.abandon()

    def _take_turn(self, patience: Patience) -> None:
        if not self._queue.take(patience):
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
            raise error
        self._has_turn = True

    def _settle(self) -> None:
        if self._has_turn and not self.in_transaction:
            self._give_turn_back()

    def _give_turn_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._queue.give_back()


class TurnTakingCursor(base.SQLiteCursorWrapper):
    """Executes when its connection has the turn."""

    connection: TurnTakingConnection

    def execute(self, query: str, params: Any = None) -> Any:
        """As Django's."""
        return self.connection.run(query, super().execute, query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        """As Django's, outside a transaction in one of its own: else what was tried again would be written twice."""
        many = list(param_list)
        if self.connection.in_transaction:
            return self.connection.run(query, super().executemany, query, many)
        self.execute("BEGIN IMMEDIATE")
        try:
            done = super().executemany(query, many)
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise
        return done


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, whose `timeout` option is the patience with other threads and processes alike, in seconds."""

    def get_connection_params(self) -> dict[str, Any]:
        """As Django's."""
        return {**super().get_connection_params(), "factory": TurnTakingConnection}

    def get_new_connection(self, conn_params: dict[str, Any]) -> TurnTakingConnection:
        """As Django's. What it sets up first waits as SQLite does."""
        connection: TurnTakingConnection = super().get_new_connection(conn_params)
        queue = _queues.setdefault(str(conn_params["database"]), WritersQueue())
        connection.take_turns(queue, conn_params.get("timeout", 5.0))
        return connection

    def create_cursor(self, name: str | None = None) -> TurnTakingCursor:
        """As Django's."""
        assert self.connection is not None
        cursor: TurnTakingCursor = self.connection.cursor(factory=TurnTakingCursor)
        return cursor


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether somebody else may be done in a moment. What a transaction has read is behind the times for good."""
    code = getattr(error, "sqlite_errorcode", 0)
    return bool(code & PRIMARY_CODE == sqlite3.SQLITE_BUSY) and code != sqlite3.SQLITE_BUSY_SNAPSHOT
