"""How portal.settings reads the environment: a malformed value is refused in one sentence that names its variable."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_TRUE_OR_FALSE: Final = {*environ.Env.BOOLEAN_TRUE_STRINGS, "false", "off", "n", "no", "0", ""}


def _truth(text: str) -> None:
    # The library would take every other word for false.
    if text.strip().lower() not in _TRUE_OR_FALSE:
        raise ValueError(text)


# The library's own reading of a number leaves out what it does not know: "1e3" would be 13.
_STRICT: Final[dict[Any, Any]] = {int: int, float: float, bool: _truth}
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


class Environment(environ.Env):  # type: ignore[misc]  # django-environ is untyped
    """The library's environment without its leniencies. Every getter raises ImproperlyConfigured."""

    def get_value(
        self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: Any = False
    ) -> Any:
        text = self.ENVIRON.get(var)
        if cast in _STRICT and text is not None:
            try:
                _STRICT[cast](text)
            except ValueError as error:
                raise ImproperlyConfigured(f"{var} must be {_SHAPES[cast]}, not “{text}”.") from error
        with refusing(var, _SHAPES.get(cast, "well formed")):
            return super().get_value(var, cast, default, parse_default)

    def one_of(
        self, var: str, words: Sequence[str], default: str, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """The one of `words` that the variable has, in capitals or not; without one, or empty, it is the default.

        aliases: other words, in small letters, for some of `words`.
        """
        text: str = self.str(var, default="").strip() or default
        for word in words:
            if aliases.get(text.lower(), text).lower() == word.lower():
                return word
        raise ImproperlyConfigured(f"{var} must be one of {', '.join(words)}, not “{text}”.")

    def address(self, var: str, schemes: Sequence[str], default: str = "") -> str:
        """A URL of one of these schemes; one that is not there, or empty, is the default."""
        text: str = self.str(var, default="") or default
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
    """The same server's address as Celery writes it, which knows no unix://. Raises ImproperlyConfigured."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    options = dict(parse_qsl(parts.query))
    with refusing("REDIS_URL", "a URL with a number for the database, like unix:///path?db=0"):
        database = int(options.get("db") or 0)
    account = parts.netloc
    if not account and (password := options.get("password")):
        account = f"{quote(options.get('username', ''), safe='')}:{quote(password, safe='')}@"
    return f"redis+socket://{account}{parts.path}?virtual_host={database}"


def exit_unless_configured() -> None:
    """Ends the process with one sentence when the settings refuse a value of the environment."""
    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as error:
        sys.exit(f"Steelyard cannot start: {error}")
