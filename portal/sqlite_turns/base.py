"""SQLite has one writer at a time. Whoever finds it busy sleeps and looks again, after 1, 2, 5, 10, 15 ms and so on.

Where many write for a moment each, nearly all of that is lost: eight answers that ended together were stored within
60 ms, in which the database was idle for 45. So the threads of a process wait for one lock, which wakes the next one
at once, and only the one that has it looks, every other millisecond, whether another process is done.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from django.db.backends.sqlite3 import base

# Of these SQLite sleeps one, looks, sleeps the other one, looks, and says that it is busy.
LOOK_AGAIN_MS: Final = 2
# What begins so outside a transaction needs the writer's place. What is not among them takes its chances.
WRITING: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")
PRIMARY_CODE: Final = 0xFF

P = ParamSpec("P")
R = TypeVar("R")

_turns: dict[str, threading.Lock] = {}


class TurnTakingConnection(sqlite3.Connection):
    """Takes this process's turn to write before it begins to, and gives it back once no transaction is open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._has_turn = False
        super().__init__(*args, **kwargs)
        self._turn = threading.Lock()
        self._patience_s = 0.0

    def take_turns(self, turn: threading.Lock, patience_s: float) -> None:
        """Wait for `turn` before writing. Raises OperationalError, that the database is locked, after `patience_s`."""
        self._turn, self._patience_s = turn, patience_s
        self.execute(f"PRAGMA busy_timeout = {LOOK_AGAIN_MS}")

    def run(self, statement: str, execute: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Execute a statement once it is its turn and the database is free."""
        until = time.monotonic() + self._patience_s
        if not self._has_turn and statement.startswith(WRITING) and not self.in_transaction:
            if not self._turn.acquire(timeout=self._patience_s):
                raise _locked()
            self._has_turn = True
        try:
            while True:
                try:
                    return execute(*args, **kwargs)
                except sqlite3.OperationalError as error:
                    if not _may_pass(error) or time.monotonic() >= until:
                        raise
        finally:
            self._settle()

    def commit(self) -> None:
        """Commit, and let others write."""
        try:
            super().commit()
        finally:
            self._settle()

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
        # A thread that ends in a transaction closes nothing.
        self._give_turn_back()

    def _settle(self) -> None:
        if self._has_turn and not self.in_transaction:
            self._give_turn_back()

    def _give_turn_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turn.release()


class TurnTakingCursor(base.SQLiteCursorWrapper):
    """Executes when its connection has the turn."""

    connection: TurnTakingConnection

    def execute(self, query: str, params: Any = None) -> Any:
        """As Django's."""
        return self.connection.run(query, super().execute, query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        """As Django's. The parameters are at hand, so that they can be tried again."""
        return self.connection.run(query, super().executemany, query, list(param_list))


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, whose `timeout` option is the patience with other threads and processes alike, in seconds."""

    def get_connection_params(self) -> dict[str, Any]:
        """As Django's."""
        return {**super().get_connection_params(), "factory": TurnTakingConnection}

    def get_new_connection(self, conn_params: dict[str, Any]) -> TurnTakingConnection:
        """As Django's. What it sets up first waits as SQLite does."""
        connection: TurnTakingConnection = super().get_new_connection(conn_params)
        turn = _turns.setdefault(str(conn_params["database"]), threading.Lock())
        connection.take_turns(turn, conn_params.get("timeout", 5.0))
        return connection

    def create_cursor(self, name: str | None = None) -> TurnTakingCursor:
        """As Django's."""
        assert self.connection is not None
        cursor: TurnTakingCursor = self.connection.cursor(factory=TurnTakingCursor)
        return cursor


def _may_pass(error: sqlite3.OperationalError) -> bool:
    """Whether somebody else holds what is needed. What a transaction has read is behind the times for good."""
    code = getattr(error, "sqlite_errorcode", 0)
    return bool(code & PRIMARY_CODE == sqlite3.SQLITE_BUSY) and code != sqlite3.SQLITE_BUSY_SNAPSHOT


def _locked() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
    return error
