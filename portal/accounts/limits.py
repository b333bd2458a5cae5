"""How much somebody may do per time, counted in Redis for all processes together."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext, ngettext
from limits import RateLimitItem, WindowStats, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from portal.accounts.actors import Actor

logger = logging.getLogger(__name__)

# A network may hold a school class; who abuses it still meets a bound.
NETWORK_ALLOWANCE = 5
STORE_AWAY_S = 10.0


class LimitExceeded(Exception):
    """Somebody reached a limit. `limit` names it, `retry_after_s` says when to try again, `str()` is a sentence."""

    def __init__(self, limit: str, retry_after_s: int, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.message = message


class Blocked(PermissionDenied):
    """An operator keeps this person, or everybody of their network, from giving anything; `str()` says why."""


class _Limiters:
    """The shared limiter, and one of this process alone for while the store is away: limits never just vanish."""

    def __init__(self) -> None:
        url = settings.REDIS_URL.replace("unix://", "redis+unix://")
        timeout = settings.REDIS_SOCKET_TIMEOUT_S
        shared = storage_from_string(url, wrap_exceptions=True, socket_timeout=timeout, socket_connect_timeout=timeout)
        self._shared = MovingWindowRateLimiter(shared)
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def seconds_until_allowed(self, item: RateLimitItem, *key: str) -> int:
        """Count one use; 0 when it was allowed."""
        # A frozen store costs its time-out once, not at every request.
        if time.monotonic() >= self._away_until:
            try:
                return _hit(self._shared, item, key)
            except StorageError as error:
                self._away_until = time.monotonic() + STORE_AWAY_S
                logger.warning("Rate limits are counted in this process alone for %.0f s: %s", STORE_AWAY_S, error)
        return _hit(self._local, item, key)

    def window(self, item: RateLimitItem, *key: str) -> WindowStats:
        """What is left, from where uses are counted now; counts nothing."""
        if time.monotonic() >= self._away_until:
            try:
                return self._shared.get_window_stats(item, *key)
            except StorageError:
                self._away_until = time.monotonic() + STORE_AWAY_S
        return self._local.get_window_stats(item, *key)


def _hit(limiter: RateLimiter, item: RateLimitItem, key: tuple[str, ...]) -> int:
    if limiter.hit(item, *key):
        return 0
    return max(1, round(limiter.get_window_stats(item, *key).reset_time - time.time()))


@lru_cache(maxsize=1)
def _limiters() -> _Limiters:
    return _Limiters()


def rate_in_words(rate: str) -> str:
    """A setting's `30/minute` as `30 per minute`."""
    return _item_in_words(parse(rate))


def _item_in_words(item: RateLimitItem) -> str:
    count, unit = item.multiples, item.GRANULARITY.name
    periods = {
        "second": ngettext("second", "%(count)d seconds", count),
        "minute": ngettext("minute", "%(count)d minutes", count),
        "hour": ngettext("hour", "%(count)d hours", count),
        "day": ngettext("day", "%(count)d days", count),
        "month": ngettext("month", "%(count)d months", count),
        "year": ngettext("year", "%(count)d years", count),
    }
    words: str = gettext("%(amount)s per %(period)s") % {
        "amount": f"{item.amount:,}", "period": periods[unit] % {"count": count},
    }  # fmt: skip
    return words


def check_rate(actor: Actor, name: str, rate: str) -> None:
    """Count one use of `name` by `actor`, at most `rate` ("30/minute"). Raises LimitExceeded beyond it."""
    item = parse(rate)
    _count_use(item, name, _actor_key(actor))
    if actor.user is None:
        check_network_rate(actor, name, rate)


def check_network_rate(actor: Actor, name: str, rate: str) -> None:
    """Count one use of `name` by the actor's network, which may do several times as much as one actor."""
    item = parse(rate)
    per_network = type(item)(item.amount * NETWORK_ALLOWANCE, item.multiples)
    _count_use(per_network, name, f"network:{actor.network}")


def _count_use(item: RateLimitItem, name: str, key: str) -> None:
    wait_s = _limiters().seconds_until_allowed(item, name, key)
    if wait_s:
        words = {"rate": _item_in_words(item), "wait": _wait_in_words(wait_s)}
        raise LimitExceeded(name, wait_s, gettext("That is more than %(rate)s. Try again in %(wait)s.") % words)


def _wait_in_words(seconds: int) -> str:
    """Seconds while somebody would count them, else the minutes or hours that are surely enough."""
    minutes, hours = math.ceil(seconds / 60), math.ceil(seconds / 3600)
    if seconds < 120:
        return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}
    if minutes < 120:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}


@dataclass(frozen=True, slots=True)
class Headroom:
    """How many uses are left of `limit` per `window_s`, and when the oldest of those counted is forgotten."""

    limit: int
    window_s: int
    remaining: int
    reset_s: int


def read_headroom(actor: Actor, name: str, rate: str) -> Headroom:
    """What `check_rate` with the same arguments leaves the actor; counts nothing."""
    item = parse(rate)
    stats = _limiters().window(item, name, _actor_key(actor))
    reset_s = max(0, round(stats.reset_time - time.time()))
    return Headroom(item.amount, item.get_expiry(), max(0, stats.remaining), reset_s)


def _actor_key(actor: Actor) -> str:
    return f"user:{actor.user.pk}" if actor.user else f"visitor:{actor.visitor}"
