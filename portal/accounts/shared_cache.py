"""The cache in Redis, where allauth counts sign-in attempts for all web processes together.

While Redis is away each process counts for itself: limits get looser, but they never vanish, and sign-in works.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

STORE_AWAY_S: Final = 10.0


class JsonSerializer:
    """Plain data only: Django's default is pickle, which runs whatever a writer to Redis put there."""

    def dumps(self, value: Any) -> str | int:
        return value if type(value) is int else json.dumps(value)

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class _Client:
    """Redis, and this process alone while Redis is away. Both take RedisCache's calls: add, get, set, delete, …"""

    def __init__(self, location: str, timeout_s: float) -> None:
        self._away_until = 0.0
        self._local = LocMemCache(f"while {location} is away", {})
        self._shared = RedisCacheClient(
            [location],
            serializer=JsonSerializer,  # type: ignore[arg-type]  # redis-py takes str as well as bytes
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # redis-py repeats a timed-out command ten times before it says so.
            retry=Retry(NoBackoff(), 0),
        )

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return partial(self._call, operation)

    def _call(self, operation: str, *arguments: Any) -> Any:
        # A frozen server costs its time-out once, not at every command.
        if time.monotonic() >= self._away_until:
            try:
                return getattr(self._shared, operation)(*arguments)
            except RedisError as error:
                self._away_until = time.monotonic() + STORE_AWAY_S
                logger.warning("Sign-in limits are counted in this process alone for %.0f s: %s", STORE_AWAY_S, error)
        return getattr(self._local, operation)(*arguments)


@lru_cache(maxsize=8)
def _client(location: str, timeout_s: float) -> _Client:
    """One per process: Django makes a cache object per request under ASGI."""
    return _Client(location, timeout_s)


class SharedCache(RedisCache):
    """Django's Redis cache with that client. `OPTIONS["timeout_s"]` bounds each command."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._location = server if isinstance(server, str) else ",".join(server)
        self._timeout_s = float(params["OPTIONS"]["timeout_s"])

    @property
    def _cache(self) -> _Client:  # type: ignore[override]
        return _client(self._location, self._timeout_s)

    def clear(self) -> None:
        """Refused: Django's is FLUSHDB, and streams, limits and the Celery broker live in the same database."""
        raise NotImplementedError("The shared cache cannot be cleared: the broker lives in the same database.")
