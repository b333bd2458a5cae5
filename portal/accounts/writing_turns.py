"""Long writing in turns: what changes many rows lets other writers in between, of which SQLite has one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from django.db import connection

# Rows of a turn: about 30 ms of verdicts, each with what follows from it.
TURN: Final = 3
# Where a database locks rows, a transaction of several could meet another one's in the opposite order.
_TURN_WITH_ROW_LOCKS: Final = 1
# Writers of other processes look every other millisecond whether it is free (sqlite_turns). One must get to a core.
_REST_S: Final = 0.01
Row = TypeVar("Row")


def rows_of_a_turn() -> int:
    """How many rows to do in one transaction."""
    return TURN if connection.vendor == "sqlite" else _TURN_WITH_ROW_LOCKS


def in_turns(rows: Sequence[Row], size: int = TURN) -> Iterator[Sequence[Row]]:
    """The rows, a few at a time. Use it outside a transaction, and make each row, or each turn, one."""
    for start in range(0, len(rows), size):
        if start:
            let_others_write()
        yield rows[start : start + size]


def let_others_write() -> None:
    """Between two transactions of a long piece of work. Within one it would help nobody, and does nothing."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        time.sleep(_REST_S)
