"""HTTP to an OpenAI-compatible server: one attempt's events, within time-outs, and errors as sentences for people."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from inference.events import FailureCode
from inference.public_address import AsyncPublicTransport
from inference.upstream_answer import UpstreamFailure
from inference.upstream_chunks import error_sentence
from inference.upstream_request import WISHES
from inference.upstream_sse import ServerEvent, ServerEventReader

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES: Final = 65_536
MAX_SENTENCE_CHARACTERS: Final = 300
_BUSY: Final = frozenset({429, 502, 503, 504})
_CONTEXT: Final = re.compile(
    r"context.{0,40}(length|size|window)|context_length_exceeded|exceed_context", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamPatience:
    """How long an upstream is waited for, in seconds, and how often it is asked before the first token.

    first_byte_s runs from the request to the answer's first byte, which comes after the prompt was read; usage_s from
    the answer's last word to the counts that may follow it.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    between_pieces_s: float = 60.0
    usage_s: float = 5.0
    attempts: int = 4
    first_pause_s: float = 0.25
    longest_pause_s: float = 20.0


class UpstreamAway(UpstreamFailure):
    """The upstream cannot be reached or has no room: the same may work in a moment, or after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(FailureCode.UPSTREAM, message)
        self.retry_after_s = retry_after_s


class WishRefused(Exception):
    """The upstream refuses fields that the engine can do without."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


class UpstreamClient:
    """Used on one event loop. The key is sent to the base URL and to nowhere else: redirects are not followed.

    With `public_but` only public addresses are connected to, and the hosts that it names.
    """

    def __init__(
        self, base_url: str, key: str | None, patience: UpstreamPatience, public_but: Collection[str] | None = None
    ) -> None:
        self._key = key
        self._patience = patience
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "User-Agent": "steelyard"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30.0)
        self._http = httpx2.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers=headers,
            # What comes after the connection is timed here: httpx2 counts a wait for each read, and nothing else.
            timeout=httpx2.Timeout(None, connect=patience.connect_s),
            limits=limits,
            transport=None if public_but is None else AsyncPublicTransport(public_but, limits=limits),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    def events(self, path: str, body: dict[str, Any]) -> AbstractAsyncContextManager[AsyncGenerator[ServerEvent, None]]:
        """The events of one attempt; leaving the context closes the connection unless the answer was read to its end.

        Raises UpstreamAway, UpstreamFailure and WishRefused, and StreamMalformed for what is no event stream.
        """
        return aclosing(self._events(path, body))

    async def _events(self, path: str, body: dict[str, Any]) -> AsyncGenerator[ServerEvent, None]:
        response = await self._send(path, body)
        try:
            if response.status_code != httpx2.codes.OK:
                raise await self._refusal(response, body)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "text/event-stream" or response.headers.get("content-encoding", "identity") != "identity":
                raise UpstreamFailure(FailureCode.UPSTREAM, "The upstream did not answer with an event stream.")
            reader = ServerEventReader()
            pieces = response.aiter_raw()
            wait_s = self._patience.first_byte_s
            while (piece := await self._next(pieces, wait_s)) is not None:
                wait_s = self._patience.between_pieces_s
                for event in reader.push(piece):
                    yield event
        finally:
            await response.aclose()

    async def _send(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        try:
            async with asyncio.timeout(self._patience.first_byte_s):
                return await self._http.send(self._http.build_request("POST", path, json=body), stream=True)
        except TimeoutError as error:
            raise _too_slow(self._patience.first_byte_s) from error
        except httpx2.ConnectTimeout as error:
            raise UpstreamAway("The upstream did not take the connection in time.") from error
        except httpx2.ConnectError as error:
            raise UpstreamAway("The upstream cannot be reached.") from error
        except httpx2.TransportError as error:
            raise UpstreamAway("The connection to the upstream was lost.") from error

    async def _next(self, pieces: AsyncIterator[bytes], wait_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(wait_s):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise _too_slow(wait_s) from error
        except httpx2.TransportError as error:
            raise UpstreamAway("The connection to the upstream was lost.") from error

    async def _refusal(self, response: httpx2.Response, body: dict[str, Any]) -> Exception:
        """What an answer other than 200 means."""
        status = response.status_code
        said = await self._said(response)
        logger.warning("The upstream answers %d: %s", status, said)
        if status in _BUSY:
            return UpstreamAway(f"The upstream has no room at the moment ({status}).", _retry_after(response))
        if status in {401, 403}:
            sentence = f"The upstream does not accept this installation's key ({status}). An operator has to look."
        elif status == 404:
            sentence = "The upstream does not know the model or the address (404). An operator has to look."
        elif 300 <= status < 400:
            sentence = f"The upstream answers with a redirect ({status}), which is not followed."
        elif status in {400, 413, 422}:
            return _refused_request(status, said, body)
        else:
            sentence = f"The upstream failed ({status})."
        return UpstreamFailure(FailureCode.UPSTREAM, sentence)

    async def _said(self, response: httpx2.Response) -> str:
        """The body's own sentence, on one line, without our key; empty when it has none."""
        content = b""
        pieces = response.aiter_raw()
        while len(content) < MAX_ERROR_BYTES:
            try:
                piece = await self._next(pieces, self._patience.connect_s)
            except UpstreamFailure:
                break
            if piece is None:
                break
            content += piece
        try:
            sentence = error_sentence(json.loads(content))
        except (ValueError, RecursionError):
            return ""
        return self.shown(sentence)

    def shown(self, sentence: str) -> str:
        """An upstream's sentence as it may be shown: one line, bounded, without our key or another's password."""
        if self._key:
            sentence = sentence.replace(self._key, "…")
        sentence = re.sub(r"//[^/\s@]+@", "//…@", sentence)
        sentence = " ".join("".join(each if each.isprintable() else " " for each in sentence).split())
        return sentence if len(sentence) <= MAX_SENTENCE_CHARACTERS else sentence[:MAX_SENTENCE_CHARACTERS] + "…"


def _too_slow(seconds: float) -> UpstreamFailure:
    return UpstreamFailure(FailureCode.UPSTREAM, f"The upstream sent nothing for {seconds:g} seconds.")


def _refused_request(status: int, said: str, body: dict[str, Any]) -> Exception:
    named = {name for name in body if re.search(rf"\b{re.escape(name)}\b", said)}
    if wishes := frozenset(named & WISHES):
        return WishRefused(wishes)
    if _CONTEXT.search(said):
        return UpstreamFailure(FailureCode.CONTEXT_EXCEEDED, f"The upstream says: {said}")
    # A word that every refusal may contain names no parameter.
    parameters = sorted(named - {"model", "messages", "prompt", "stream"})
    if parameters:
        return UpstreamFailure(FailureCode.UNSUPPORTED, f"{parameters[0]}: the upstream refuses it. It says: {said}")
    reason = f"It says: {said}" if said else "It does not say why."
    return UpstreamFailure(FailureCode.UPSTREAM, f"The upstream refuses this request ({status}). {reason}")


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds; the header's other form, a date, is not in use among these servers."""
    value = response.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) else None
