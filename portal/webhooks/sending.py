"""One POST to a receiver: to public addresses alone, no redirect followed, bounded in time and in what is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2
from django.conf import settings

from inference.public_address import AddressInside, AsyncPublicTransport
from portal import __version__
from portal.webhooks.models import MAX_EXCERPT_CHARACTERS

MAX_READ_BYTES: Final = 4_096
USER_AGENT: Final = f"Steelyard-Webhooks/{__version__}"
_LIMITS: Final = httpx2.Limits(max_connections=1, max_keepalive_connections=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a POST went: the answer's status, or None and why there was none; `retry_after_s` is what it asked for."""

    status: int | None
    latency_ms: int
    error: str = ""
    excerpt: str = ""
    retry_after_s: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """Send it; every way in which it can fail is an outcome."""
    began = time.monotonic()
    try:
        status, said, retry_after = asyncio.run(_post(url, body, headers))
    except (TimeoutError, httpx2.TimeoutException):
        return Outcome(None, _ms(began), error=f"No answer within {settings.WEBHOOK_TIMEOUT_S:g} s.")
    except AddressInside as error:
        hint = "An operator can let it through with WEBHOOK_PRIVATE_HOSTS."
        return Outcome(None, _ms(began), error=f"{str(error)[:200]}. {hint}")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Outcome(None, _ms(began), error=(str(error) or type(error).__name__)[:300])
    retry_after_s = int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else 0
    return Outcome(status, _ms(began), excerpt=_excerpt(said), retry_after_s=retry_after_s)


async def _post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
    transport = AsyncPublicTransport(settings.WEBHOOK_PRIVATE_HOSTS, limits=_LIMITS)
    # The timeout is of the whole, so that a receiver that drips cannot hold a thread.
    async with (
        asyncio.timeout(settings.WEBHOOK_TIMEOUT_S),
        httpx2.AsyncClient(
            transport=transport, timeout=settings.WEBHOOK_TIMEOUT_S, follow_redirects=False, trust_env=False
        ) as client,
        client.stream(
            "POST",
            url,
            content=body,
            headers={"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers},
        ) as answer,
    ):
        said = b""
        # As it came: what a receiver compresses is not unpacked here.
        async for piece in answer.aiter_raw():
            said += piece[: MAX_READ_BYTES - len(said)]
            if len(said) >= MAX_READ_BYTES:
                break
        return answer.status_code, said, answer.headers.get("Retry-After", "")


def _excerpt(said: bytes) -> str:
    text = said.decode("utf-8", "replace")
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)[
        :MAX_EXCERPT_CHARACTERS
    ]


def _ms(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)
