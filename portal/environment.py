"""How portal.settings reads the environment, and the addresses that it finds there.

A malformed value is refused in one sentence that names its variable.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_TRUE: Final = frozenset(environ.Env.BOOLEAN_TRUE_STRINGS)
_FALSE: Final = frozenset({"false", "off", "n", "no", "0"})


def _truth(text: str) -> bool:
    # The library would take every other word for false.
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _finite(text: str) -> float:
    # The library leaves out what it does not know of a number: "1e3" would be 13.
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_STRICT: Final[dict[Any, Callable[[str], Any]]] = {int: int, float: _finite, bool: _truth}
_SHAPES: Final[dict[Any, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "like name=value,name=value",
}


@contextmanager
def refusing(variable: str, shape: str) -> Iterator[None]:
    """Turns whatever a malformed value causes into ImproperlyConfigured: "VARIABLE must be <shape>.".

    The value is not repeated, since it may hold a password.
    """
    try:
        with warnings.catch_warnings():
            # The library warns of an unknown scheme with the whole URL, password and all.
            warnings.simplefilter("error", UserWarning)
            yield
    except (ValueError, KeyError, ImproperlyConfigured, UserWarning) as error:
        raise ImproperlyConfigured(f"{variable} must be {shape}.") from error


class _Filled(MutableMapping[str, str]):
    """An environment's variables without those that say nothing, which docker compose makes of every `${NAME:-}`."""

    def __init__(self, variables: MutableMapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        text = self._variables[name]
        if not text.strip():
            raise KeyError(name)
        return text

    def is_blank(self, name: str) -> bool:
        return name in self._variables and not self._variables[name].strip()

    def __setitem__(self, name: str, text: str) -> None:
        self._variables[name] = text

    def __delitem__(self, name: str) -> None:
        del self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, text in self._variables.items() if text.strip())

    def __len__(self) -> int:
        return sum(1 for _name in self)


class Environment(environ.Env):  # type: ignore[misc]  # django-environ is untyped
    """The library's environment without its leniencies. Every getter raises ImproperlyConfigured.

    A variable that is empty, or blank, is as if it were not set: `.env` may set it, and else its default is meant.
    """

    ENVIRON = _Filled(environ.Env.ENVIRON)

    def get_value(
        self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: Any = False
    ) -> Any:
        """Not the library's, which takes a value that begins with $, as random keys do, for another variable's name."""
        text = self.ENVIRON.get(var)
        if text is None:
            if default is self.NOTSET:
                raise ImproperlyConfigured(f"{var} must be set.")
            return self.parse_value(default, cast) if parse_default else default
        if read := _STRICT.get(cast):
            try:
                return read(text)
            except ValueError as error:
                raise ImproperlyConfigured(f"{var} must be {_SHAPES[cast]}, not “{text}”.") from error
        with refusing(var, _SHAPES.get(cast, "well formed")):
            return self.parse_value(text, cast)

    def is_left_empty(self, var: str) -> bool:
        """Whether the variable stands in the environment, or in `.env`, with nothing in it."""
        return self.ENVIRON.is_blank(var)

    def one_of(
        self, var: str, words: Sequence[str], default: str, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """The one of `words` that the variable has, in capitals or not.

        aliases: other words, in small letters, for some of `words`.
        """
        text: str = self.str(var, default=default).strip()
        for word in words:
            if aliases.get(text.lower(), text).lower() == word.lower():
                return word
        raise ImproperlyConfigured(f"{var} must be one of {', '.join(words)}, not “{text}”.")

    def address(self, var: str, schemes: Sequence[str], default: str = "") -> str:
        """A URL of one of these schemes."""
        text: str = self.str(var, default=default)
        beginnings = " or ".join(f"{scheme}://" for scheme in schemes)
        numbers = "port and database" if "redis" in schemes else "port"
        with refusing(var, f"a URL that begins with {beginnings} and has numbers for {numbers}, if it names them"):
            parts = urlsplit(text)
            # A port that is no number raises ValueError when it is asked for.
            if text and (parts.scheme not in schemes or not (parts.hostname or parts.path) or parts.port == 0):
                raise ValueError(var)
            if parts.scheme in {"redis", "rediss"}:
                int(parts.path.strip("/") or 0)
        return text


def broker_at(redis_url: str) -> str:
    """The same server's address as Celery writes it. Raises ImproperlyConfigured.

    It knows no unix://, and looks at no certificate unless it is told to; the store's client always does.
    """
    parts = urlsplit(redis_url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in options:
        return parts._replace(query=urlencode({**options, "ssl_cert_reqs": "required"})).geturl()
    if parts.scheme != "unix":
        return redis_url
    with refusing("REDIS_URL", "a URL with a number for the database, like unix:///path?db=0"):
        database = int(options.get("db") or 0)
    account = parts.netloc
    if not account and (password := options.get("password")):
        account = f"{quote(options.get('username', ''), safe='')}:{quote(password, safe='')}@"
    return f"redis+socket://{account}{parts.path}?virtual_host={database}"


def server_at(url: str) -> tuple[str, ...]:
    """Which server a store's or a broker's URL leads to, how, and as whom: the same for each of its databases."""
    parts = urlsplit(url)
    if parts.scheme in {"unix", "redis+socket"}:
        place = ("unix", str(Path(unquote(parts.path)).resolve()))
    else:
        port = parts.port or (6379 if parts.scheme in {"redis", "rediss"} else "")
        place = (parts.scheme, f"{parts.hostname or 'localhost'}:{port}")
    options = dict(parse_qsl(parts.query))
    user = unquote(parts.username or "") or options.get("username", "")
    password = unquote(parts.password or "") or options.get("password", "")
    # The account of a server's that has no name is called so.
    return (*place, user or "default", password)


def exit_unless_configured() -> None:
    """Ends the process with one sentence when the settings refuse a value of the environment."""
    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as error:
        sys.exit(f"Steelyard cannot start: {error}")
