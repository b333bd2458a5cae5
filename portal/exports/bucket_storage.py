"""Snapshots in an S3-compatible bucket: django-storages', with files read as they are sent and troubles that say what.

Its own files are fetched whole into memory before the first byte of them is read.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from portal.exports.snapshot_storage import StorageUnavailable

# A person waits for the page that says that there is no server.
CONNECT_WITHIN_S: Final = 5
ANSWER_WITHIN_S: Final = 60
TRIES: Final = 3
_REFUSED: Final = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"})
_NOT_THERE: Final = frozenset({"NoSuchKey", "404"})


class Bucket(S3Storage):  # type: ignore[misc]  # has no types
    """The bucket `bucket_name` at `endpoint_url`. Whatever goes wrong there is an OSError with a sentence.

    FileNotFoundError for a file that is not there; StorageUnavailable for all else.
    """

    def get_default_settings(self) -> dict[str, Any]:
        # Checksums of the newer protocol only where they must be: not every compatible server knows them, and each
        # file has its own digest in the manifest.
        config = Config(
            connect_timeout=CONNECT_WITHIN_S,
            read_timeout=ANSWER_WITHIN_S,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return {**super().get_default_settings(), "client_config": config}

    @contextmanager
    def telling(self, name: str) -> Iterator[None]:
        """What goes wrong in the block, about the file `name`, becomes an OSError."""
        place = f"s3://{self.bucket_name}/{self._normalize_name(name)}"
        try:
            yield
        except ClientError as error:
            code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
            if code in _NOT_THERE:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place) from error
            if code == "NoSuchBucket":
                raise StorageUnavailable(errno.ENOENT, "The bucket does not exist", place) from error
            if code in _REFUSED:
                refused = f"The bucket does not let this portal in ({code})"
                raise StorageUnavailable(errno.EACCES, refused, place) from error
            raise StorageUnavailable(errno.EIO, f"The bucket answered {code}: {said.rstrip('.')}", place) from error
        except (NotConnected, HTTPClientError) as error:
            silent = f"{self.endpoint_url or 'The storage'} did not answer ({type(error).__name__})"
            raise StorageUnavailable(errno.EIO, silent, place) from error
        except BotoCoreError as error:
            raise StorageUnavailable(errno.EIO, str(error).rstrip("."), place) from error

    def _open(self, name: str, mode: str = "rb") -> BucketFile:
        with self.telling(name):
            stored = self.bucket.Object(self._normalize_name(name))
            stored.load()
        return BucketFile(self, name, stored)

    def _save(self, name: str, content: File[bytes]) -> str:
        with self.telling(name):
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with self.telling(name):
            super().delete(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with self.telling(path):
            folders, files = super().listdir(path)
        return folders, files


class BucketFile(io.RawIOBase):
    """An object open for reading: asked for from where the reader stands on, and never held whole."""

    def __init__(self, storage: Bucket, name: str, stored: Any) -> None:
        self._storage = storage
        self._name = name
        self._stored = stored
        self._position = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._stored.content_length}[whence]
        self._let_go()
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._stored.content_length:
            return 0
        with self._storage.telling(self._name):
            if self._body is None:
                # Of the object that was opened, should another have taken its place.
                asked = {"Range": f"bytes={self._position}-", "IfMatch": self._stored.e_tag}
                self._body = self._stored.get(**asked)["Body"]
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
