"""A stand-in for a model hub: a local HTTP server that speaks the few endpoints an import uses, and can break off.

It is no hub: no sign-in, no redirects to a content network, no Xet transfers.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class StandInHub:
    """Repositories by name: commits by revision, files by commit. `requests` is what was asked, in order."""

    revisions: dict[tuple[str, str], str] = field(default_factory=dict)
    commits: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    # After so many bytes of this file the connection is cut, once.
    break_off: tuple[str, int] | None = None
    # Files whose bytes are not what the listing says.
    damaged: set[str] = field(default_factory=set)
    address: str = ""

    def push(self, repo_id: str, folder: Path, revision: str = "main") -> str:
        """A new commit of a repository, made of the folder's files."""
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        summary = hashlib.sha1(repr(sorted((name, hashlib.sha256(c).digest()) for name, c in files.items())).encode())
        commit = summary.hexdigest()
        self.commits[repo_id, commit] = files
        self.revisions[repo_id, revision] = commit
        return commit

    def downloads(self, name: str) -> list[str]:
        """The Range of each GET of a file, empty for a whole one."""
        return [header for method, path, header in self.requests if method == "GET" and path.endswith(f"/{name}")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def log_message(self, *args: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path)
        tree = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([0-9a-f]{40})", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = info or tree or resolve
        if match is None or not any(repo == match[1] for repo, _ in self.hub.revisions):
            self._error(404, "RepoNotFound")
        elif match[1] in self.hub.gated:
            self._error(403, "GatedRepo")
        else:
            commit = self.hub.revisions.get((match[1], match[2]), match[2])
            files = self.hub.commits.get((match[1], commit))
            if files is None:
                self._error(404, "RevisionNotFound")
            elif info:
                siblings = [{"rfilename": name} for name in files]
                self._json({"id": match[1], "modelId": match[1], "sha": commit, "siblings": siblings, "private": False})
            elif tree:
                recursive = "recursive=true" in self.path.lower()
                self._json([_entry(n, c) for n, c in files.items() if recursive or "/" not in n])
            else:
                self._file(match[3], commit, files)

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self._head(200, {"Content-Type": "application/json"}, len(body))
        self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._head(status, {"X-Error-Code": code, "X-Error-Message": code}, 0)

    def _head(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _file(self, name: str, commit: str, files: dict[str, bytes]) -> None:
        if name not in files:
            self._error(404, "EntryNotFound")
            return
        content = files[name]
        digest = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if name in self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206 if wanted else 200, headers, len(content) - start)
        if self.command == "HEAD":
            return
        if self.hub.break_off is not None and self.hub.break_off[0] == name:
            self.wfile.write(content[start : start + self.hub.break_off[1]])
            self.wfile.flush()
            self.hub.break_off = None
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(content[start:])


def _entry(name: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if name.endswith((".safetensors", ".gguf")):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """The server, on a port of its own."""
    hub = StandInHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
