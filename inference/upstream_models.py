"""What an OpenAI-compatible server says of its models, asked once when a model of it is brought in."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

MAX_ANSWER_BYTES: Final = 4_194_304
MAX_URL_CHARACTERS: Final = 500
WAIT_S: Final = 15.0
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


class UpstreamRefused(ValueError):
    """The server cannot be used as it is; the message says why in one sentence, without the key."""


def checked_base_url(text: str) -> str:
    """The base URL without its last slash. Raises UpstreamRefused for what must not be stored or asked.

    Where this may lead is the operator's own choice; that a host inside the network is reached is often the point.
    """
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UpstreamRefused("The upstream's address is not a URL.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise UpstreamRefused("The upstream's address must begin with http:// or https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise UpstreamRefused("The upstream's address must not hold a name or a password; name a key instead.")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise UpstreamRefused("The upstream's address must not hold a query or a fragment.")
    if len(url) > MAX_URL_CHARACTERS or not url.isprintable() or " " in url:
        raise UpstreamRefused(f"The upstream's address must have at most {MAX_URL_CHARACTERS} characters, no spaces.")
    return url


def list_models(
    base_url: str, key: str | None = None, transport: httpx2.BaseTransport | None = None
) -> list[dict[str, Any]]:
    """The entries of /models, each with a text as its id. Raises UpstreamRefused."""
    status, content = _get(f"{base_url}/models", key, transport)
    if status in {401, 403}:
        raise UpstreamRefused(f"The upstream does not accept the key, or wants one ({status}).")
    if status != httpx2.codes.OK:
        raise UpstreamRefused(f"The upstream answers {status} when asked for its models; is this its base URL?")
    try:
        document = json.loads(content)
        entries = document["data"]
        models = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UpstreamRefused("The upstream's list of models is not what OpenAI's protocol says.") from error
    if not isinstance(entries, list):
        raise UpstreamRefused("The upstream's list of models is not what OpenAI's protocol says.")
    return models


def _get(url: str, key: str | None, transport: httpx2.BaseTransport | None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "steelyard"}
    give_up_at = time.monotonic() + WAIT_S
    content = b""
    try:
        with (
            httpx2.Client(timeout=WAIT_S, follow_redirects=False, trust_env=False, transport=transport) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            for piece in response.iter_raw():
                content += piece
                if len(content) > MAX_ANSWER_BYTES or time.monotonic() > give_up_at:
                    raise UpstreamRefused("The upstream's list of models is too long, or takes too long.")
            return response.status_code, content
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        said = _ERRNO.sub("", str(error)) or type(error).__name__
        raise UpstreamRefused(f"The upstream cannot be asked: {said}.") from error
