"""A long answer makes way for what is more urgent, and is the same answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from portal.accounts.streaming import REST, _pull

WORK_S = 0.03


def pieces() -> Iterator[bytes]:
    for number in range(3):
        time.sleep(WORK_S)
        yield str(number).encode()


@pytest.mark.parametrize(("is_urgent", "least_s"), [(False, 3 * WORK_S), (True, 3 * WORK_S * (1 + REST))])
def test_it_rests_in_proportion_while_somebody_waits(is_urgent: bool, least_s: float) -> None:
    async def read() -> bytes:
        return b"".join([piece async for piece in _pull(pieces(), lambda: is_urgent)])

    began = time.monotonic()
    assert asyncio.run(read()) == b"012"
    assert time.monotonic() - began >= least_s
