"""Where a reader stands in the list of judgements, as a short opaque text."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIME_BYTES: Final = 8
_ENCODED_CHARACTERS: Final = 32


class InvalidCursor(ValueError):
    """The text is no cursor that was given out."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Just behind the judgement that was created then and has this id. Rows are read in this order."""

    created_at: datetime
    id: uuid.UUID

    def encoded(self) -> str:
        """24 bytes, time before id, in URL-safe base 64."""
        microseconds = (self.created_at - _EPOCH) // _MICROSECOND
        packed = microseconds.to_bytes(_TIME_BYTES, "big", signed=True) + self.id.bytes
        return base64.urlsafe_b64encode(packed).decode("ascii")

    @classmethod
    def decoded(cls, text: str) -> Position:
        """Raises InvalidCursor."""
        try:
            packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            if len(text) != _ENCODED_CHARACTERS:
                raise InvalidCursor(text)
            microseconds = int.from_bytes(packed[:_TIME_BYTES], "big", signed=True)
            return cls(_EPOCH + microseconds * _MICROSECOND, uuid.UUID(bytes=packed[_TIME_BYTES:]))
        except (UnicodeEncodeError, binascii.Error, OverflowError) as error:
            raise InvalidCursor(text) from error
