"""Snapshots in a bucket, over the S3 protocol to a server, and from there over HTTP to whoever takes them."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from portal import settings as portal_settings
from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.job_models import JobState
from portal.exports import services
from portal.exports.criteria import Criteria
from portal.exports.models import Snapshot
from portal.exports.services import repeat_snapshot, start_snapshot
from portal.exports.tasks import build_snapshot
from tests.feedback.judgements import judge
from tests.services.installation import free_port

pytestmark = pytest.mark.django_db(transaction=True)
BUCKET = "steelyard-snapshots"


def begin(server: ThreadedMotoServer) -> None:
    """Fails where moto itself would wait for ever: when somebody took its port meanwhile."""
    starting = threading.Thread(target=server.start, daemon=True)
    starting.start()
    starting.join(60)
    assert not starting.is_alive(), "moto's server did not begin"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedMotoServer]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    started = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    begin(started)
    yield started
    started.stop()


@pytest.fixture
def bucket(server: ThreadedMotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Any]:
    """The server's side of the bucket that the portal is told of, not made yet."""
    host, port = server.get_host_and_port()
    monkeypatch.setenv("SNAPSHOT_BUCKET", f"{BUCKET}/released")
    monkeypatch.setenv("SNAPSHOT_S3_ENDPOINT", f"http://{host}:{port}")
    settings.STORAGES = {**settings.STORAGES, "snapshots": portal_settings._snapshot_storage()}
    settings.STEELYARD_HOME = tmp_path
    # The test does what the worker would be woken for.
    monkeypatch.setattr(services, "dispatch_soon", lambda _snapshot: None)
    # moto keeps what it stores in this process, whichever of its servers is asked.
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST"))
    return boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket(BUCKET)


def asked(maintainer: User) -> Snapshot:
    return start_snapshot(maintainer, title="Autumn", tables=["feedback"], criteria=Criteria())


def built(snapshot: Snapshot) -> Snapshot:
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


class Reader:
    """A program that takes snapshots, with a token of its own."""

    def __init__(self, portal: str, user: User) -> None:
        self._portal = portal
        _token, self._secret = create_token(user, name="reader", scopes=[Scope.READ], lifetime=None)

    def get(self, path: str, **headers: str) -> tuple[int, Message, bytes]:
        headers = {"Authorization": f"Bearer {self._secret}", **headers}
        try:
            answer = urllib.request.urlopen(urllib.request.Request(self._portal + path, headers=headers))
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            return answer.status, answer.headers, answer.read()


def test_a_snapshot_goes_to_the_bucket_and_from_there_to_a_client(
    bucket: Any, maintainer: User, alice: User, live_server: Any
) -> None:
    bucket.create()
    # What an attempt that failed left under the number is gone afterwards.
    bucket.put_object(Key="released/00001/data/kto.jsonl", Body=b"half a li")
    judge(alice, comment="Yes. " * 200)
    snapshot = built(asked(maintainer))
    assert (snapshot.state, snapshot.number, snapshot.error) == (JobState.SUCCEEDED, 1, "")
    assert {each.key for each in bucket.objects.all()} == {
        f"released/00001/{path}" for path in (*snapshot.files, "manifest.json")
    }
    reader = Reader(live_server.url, alice)
    files = json.loads(reader.get("/api/v1/snapshots/1/")[2])["files"]
    for file in files:
        status, headers, data = reader.get(file["url"])
        assert (status, hashlib.sha256(data).hexdigest()) == (200, file["sha256"])
        assert headers["ETag"] == f'"{file["sha256"]}"'
        status, headers, rest = reader.get(
            file["url"], Range=f"bytes={len(data) // 2}-", **{"If-Range": headers["ETag"]}
        )
        assert (status, rest) == (206, data[len(data) // 2 :])
        assert reader.get(file["url"], Range="bytes=1-7")[2] == data[1:8]
    bucket.Object("released/00001/README.md").delete()
    status, headers, said = reader.get("/api/v1/snapshots/1/files/README.md")
    assert (status, headers["Retry-After"], json.loads(said)["status"]) == (503, "5", 503)


def test_without_a_bucket_or_a_server_nothing_is_published_until_it_is_asked_for_again(
    bucket: Any, server: ThreadedMotoServer, maintainer: User, alice: User, live_server: Any
) -> None:
    judge(alice)
    reader = Reader(live_server.url, alice)
    snapshot = built(asked(maintainer))
    place = f"s3://{BUCKET}/released/00001"
    assert (snapshot.state, snapshot.number) == (JobState.FAILED, None)
    assert snapshot.error == f"{place}: The bucket does not exist."
    server.stop()
    assert repeat_snapshot(maintainer, snapshot)
    built(snapshot)
    assert (snapshot.state, snapshot.number) == (JobState.FAILED, None)
    host, port = server.get_host_and_port()
    assert snapshot.error == f"{place}: http://{host}:{port} did not answer (EndpointConnectionError)."
    assert json.loads(reader.get("/api/v1/snapshots/")[2])["results"] == []
    begin(server)
    bucket.create()
    assert repeat_snapshot(maintainer, snapshot)
    built(snapshot)
    assert (snapshot.state, snapshot.number, snapshot.error) == (JobState.SUCCEEDED, 1, "")
    address = "/api/v1/snapshots/1/files/data/feedback.jsonl"
    assert hashlib.sha256(reader.get(address)[2]).hexdigest() == snapshot.files["data/feedback.jsonl"]["sha256"]
    server.stop()
    status, headers, said = reader.get(address)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "storage" in json.loads(said)["detail"]
    assert snapshot.downloads.count() == 1
    begin(server)
    assert reader.get(address)[0] == 200
    assert not repeat_snapshot(maintainer, snapshot)
