"""What it is when something that the portal depends on does not answer: no matter of the request, to be tried again."""

from __future__ import annotations

from typing import Final

import kombu.exceptions
import redis.exceptions
from django.db import InterfaceError, OperationalError

from portal.exports.snapshot_storage import StorageUnavailable

# The database, the stream store, the broker or the snapshots' storage.
UNAVAILABLE: Final = (
    OperationalError,
    InterfaceError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    kombu.exceptions.OperationalError,
    StorageUnavailable,
)
UNAVAILABLE_RETRY_S: Final = 5
