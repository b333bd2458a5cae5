"""A snapshot's files over HTTP: resumed, tied to their digests, logged, and taken all together by one command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.exports.models import SnapshotDownload
from tests.exports.snapshots import made, said
from tests.feedback.judgements import judge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]


def test_a_download_resumes_is_tied_to_its_digest_and_logged(
    maintainer: User, alice: User, alice_client: Client
) -> None:
    said(alice)
    snapshot = made(maintainer)
    address = reverse("exports:snapshot-file", args=[snapshot.pk, "data/kto.parquet"])
    whole: Any = alice_client.get(address)
    data = whole.getvalue()
    assert whole["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert int(whole["Content-Length"]) == len(data)
    rest: Any = alice_client.get(address, headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})
    assert (rest.status_code, rest["Content-Range"]) == (206, f"bytes 100-{len(data) - 1}/{len(data)}")
    assert data[:100] + rest.getvalue() == data
    assert alice_client.get(address, headers={"Range": "bytes=999999999-"}).status_code == 416
    assert alice_client.get(address, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    log = SnapshotDownload.objects.order_by("pk").values_list("path", "user", "first_byte")
    assert list(log) == [("data/kto.parquet", alice.pk, 0), ("data/kto.parquet", alice.pk, 100)]
    about: Any = alice_client.head(address)
    assert (about.status_code, about["Content-Length"], about["ETag"]) == (200, str(len(data)), whole["ETag"])
    assert (about.getvalue(), len(log.all())) == (b"", 2)


def test_the_manifest_is_a_file_as_the_others_are(maintainer: User, alice: User, alice_client: Client) -> None:
    snapshot = made(maintainer, "feedback")
    address = reverse("exports:snapshot-file", args=[snapshot.pk, "manifest.json"])
    whole: Any = alice_client.get(address)
    data = whole.getvalue()
    assert (json.loads(data), whole["Content-Length"]) == (snapshot.manifest, str(len(data)))
    assert whole["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    part: Any = alice_client.get(address, headers={"Range": "bytes=-10"})
    assert (part.status_code, part.getvalue()) == (206, data[-10:])
    assert alice_client.get(address, headers={"If-None-Match": f'"x", W/{whole["ETag"]}'}).status_code == 304
    assert [each.path for each in SnapshotDownload.objects.all()] == ["manifest.json"] * 2


def test_a_file_that_the_storage_does_not_give_is_a_matter_of_the_service(
    maintainer: User, alice: User, folder: Path
) -> None:
    snapshot = made(maintainer, "feedback")
    (folder / snapshot.folder / "README.md").unlink()
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    response = client.get(reverse("exports:snapshot-file", args=[snapshot.pk, "README.md"]))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "storage" in response.content.decode()
    assert not snapshot.downloads.exists()


def test_nobody_leaves_the_snapshots_folder(maintainer: User, alice_client: Client) -> None:
    snapshot = made(maintainer)
    for path in ("../../secret_key", "data/../../x", "/etc/passwd", "data", "none"):
        address = reverse("exports:snapshot", args=[snapshot.pk]) + f"files/{path}"
        assert alice_client.get(address).status_code == 404


def test_the_page_s_command_takes_every_file_and_checks_it(
    maintainer: User, alice: User, client: Client, live_server: Any, tmp_path: Path
) -> None:
    judge(alice)
    snapshot = made(maintainer)
    page = client.get(snapshot.get_absolute_url(), headers={"Host": urlsplit(live_server.url).netloc}).content.decode()
    found = re.search(r'id="download-all">(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    _token, secret = create_token(alice, name="reader", scopes=[Scope.READ], lifetime=None)
    there = tmp_path / "there"
    there.mkdir()

    def run(token: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "TOKEN": token}
        return subprocess.run(
            ["bash", "-c", unescape(found[1])], cwd=there, env=environment, capture_output=True, text=True, check=False
        )

    refused = run("none")
    assert (refused.returncode, refused.stderr.count("401"), refused.stdout) == (22, 1, "")
    ran = run(secret)
    assert (ran.returncode, ran.stderr) == (0, "")
    folder = there / "snapshot-1"
    taken = {str(path.relative_to(folder)) for path in there.rglob("*") if path.is_file()}
    assert taken == {"manifest.json", *snapshot.files}
    assert "data/feedback.jsonl: OK" in ran.stdout.splitlines()

    # Again it takes what is missing, whole or in part, and nothing else.
    (folder / "LICENSE").unlink()
    os.truncate(folder / "README.md", 100)
    SnapshotDownload.objects.all().delete()
    again = run(secret)
    assert (again.returncode, again.stdout, again.stderr) == (0, ran.stdout, "")
    downloads = set(SnapshotDownload.objects.values_list("path", flat=True))
    assert downloads == {"manifest.json", "SHA256SUMS", "LICENSE", "README.md"}
    # What is whole in length and wrong in content is told.
    (folder / "LICENSE").write_bytes(b"x" * (folder / "LICENSE").stat().st_size)
    wrong = run(secret)
    assert wrong.returncode == 1
    assert "LICENSE: FAILED" in wrong.stdout.splitlines()
