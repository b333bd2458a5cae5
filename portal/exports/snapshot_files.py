"""A published snapshot's files over HTTP, whole or from a place on, logged; and what of it was withdrawn since."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from portal.accounts.models import User
from portal.accounts.streaming import stream_pieces
from portal.exports.byte_ranges import ByteRange, RangeNotSatisfiable, asked_range, read_part
from portal.exports.models import Snapshot
from portal.exports.services import note_download
from portal.exports.snapshot_build import MANIFEST, manifest_text
from portal.exports.snapshot_records import gone
from portal.exports.snapshot_storage import StorageUnavailable, snapshot_storage

_TYPES: Final = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonl; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
}
_OTHER_TYPE: Final = "text/plain; charset=utf-8"
# Those that a file can have, without parameters.
FILE_TYPES: Final = tuple(each.partition(";")[0] for each in (*_TYPES.values(), _OTHER_TYPE))
_BATCH: Final = 1_000


def file_response(request: HttpRequest, snapshot: Snapshot, path: str, user: User) -> HttpResponseBase:
    """One of the snapshot's files.

    Raises Http404 for a path that the manifest has not, and StorageUnavailable where the storage does not give it.
    """
    own = manifest_text(snapshot.manifest).encode() if path == MANIFEST else None
    facts = snapshot.files.get(path) if own is None else _facts_of(own)
    if facts is None:
        raise Http404
    size, etag = int(facts["bytes"]), f'"{facts["sha256"]}"'
    if _known(request) & {etag, "*"}:
        return HttpResponse(status=304, headers={"ETag": etag})
    try:
        part = asked_range(request.headers.get("Range", ""), request.headers.get("If-Range", ""), etag, size)
    except RangeNotSatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    sent = part or ByteRange(0, size - 1)
    file = io.BytesIO(own or b"") if own is not None or not size else _opened(snapshot.stored_name(path))
    if request.method == "HEAD":
        # Who asks about a file takes nothing of it, and nothing would close it.
        file.close()
    else:
        note_download(snapshot, path, user, sent.first)
    response = stream_pieces(
        request,
        read_part(file, sent),
        content_type=_TYPES.get(PurePosixPath(path).suffix, _OTHER_TYPE),
        filename=f"snapshot-{snapshot.folder}-{path.replace('/', '-')}",
    )
    response["Content-Length"] = str(sent.length)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    # RFC 9530: of the whole file, whatever part is sent.
    response["Repr-Digest"] = f"sha-256=:{_base64(facts['sha256'])}:"
    if part is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    return response


def _facts_of(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _known(request: HttpRequest) -> set[str]:
    """What the client has already, by If-None-Match, which compares weakly (RFC 9110, section 13.1.2)."""
    return {each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))}


def _opened(name: str) -> IO[Any]:
    """Opened before the answer begins: what fails then is told with a status, and not by a download that breaks off."""
    try:
        return snapshot_storage().open(name)
    except OSError as error:
        raise StorageUnavailable(error.errno, error.strerror or str(error), name) from error


def tombstones_response(request: HttpRequest, snapshot: Snapshot) -> HttpResponseBase:
    """JSON Lines: a record of the snapshot per line that was withdrawn since."""
    return stream_pieces(
        request,
        _tombstones(snapshot),
        content_type=_TYPES[".jsonl"],
        filename=f"snapshot-{snapshot.folder}-tombstones.jsonl",
    )


def _tombstones(snapshot: Snapshot) -> Iterator[bytes]:
    after = 0
    records = gone(snapshot)
    while chunk := list(records.filter(pk__gt=after).values_list("pk", "record_id", "is_vote")[:_BATCH]):
        after = chunk[-1][0]
        rows = ({"kind": "vote" if is_vote else "submission", "id": str(record)} for _pk, record, is_vote in chunk)
        yield "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
