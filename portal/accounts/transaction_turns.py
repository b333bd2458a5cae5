"""Transactions of one kind that wait for each other, so that two at once cannot both be the last one allowed."""

from __future__ import annotations

from django.db import connection


def wait_for_turn(key: int) -> None:
    """Within a transaction: go on once no other one with this key is under way.

    SQLite's IMMEDIATE transactions wait anyway. An advisory lock needs no row, which a new visitor does not have.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key & (2**63 - 1)])
