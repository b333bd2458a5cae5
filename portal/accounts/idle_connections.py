"""What becomes of a thread's connection to the database while the thread waits for something else."""

from __future__ import annotations

from django.db import close_old_connections, connection


def give_connection_back() -> None:
    """Who waits for minutes must not keep one of PostgreSQL's, which are few; SQLite's stays open for the next."""
    if not connection.in_atomic_block:  # as in a test
        close_old_connections()
