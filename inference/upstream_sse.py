"""Bytes of an event stream to the data of its events, however the bytes are cut, within a bound of memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_EVENT_BYTES: Final = 1_048_576
# A lone CR also ends a line (WHATWG HTML, "Server-sent events"), so that CR LF may come in two pieces.
_LINE_END: Final = re.compile(rb"[\r\n]")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class StreamMalformed(ValueError):
    """What came is no event stream of chat completions; the message says what is wrong, without the content."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `name` is empty unless the server gave one."""

    data: str
    name: str = ""


class ServerEventReader:
    """Bytes go in piecewise; whole events come out.

    Keeps at most `max_event_bytes` of an event that is not whole yet. An event without data is none, and one that the
    end of the stream cuts off is dropped, as the standard says.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._after_cr = False
        self._is_first_line = True

    def push(self, piece: bytes) -> list[ServerEvent]:
        """The events that this piece completes. Raises StreamMalformed."""
        events: list[ServerEvent] = []
        start = 0
        if self._after_cr and piece:
            start = 1 if piece[:1] == b"\n" else 0
            self._after_cr = False
        while (end := _LINE_END.search(piece, start)) is not None:
            self._take(piece[start : end.start()])
            line, self._line = bytes(self._line), bytearray()
            events += self._end_line(line)
            start = end.end()
            if end[0] == b"\r":
                if start == len(piece):
                    self._after_cr = True
                elif piece[start : start + 1] == b"\n":
                    start += 1
        self._take(piece[start:])
        return events

    def _take(self, part: bytes) -> None:
        if len(self._line) + self._data_bytes + len(part) > self._max_event_bytes:
            raise StreamMalformed(f"an event has more than {self._max_event_bytes:,} bytes")
        self._line += part

    def _end_line(self, line: bytes) -> list[ServerEvent]:
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
        if not line:
            return self._end_event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = _text(value)
        return []

    def _end_event(self) -> list[ServerEvent]:
        data, self._data = self._data, []
        name, self._name = self._name, ""
        self._data_bytes = 0
        return [ServerEvent(_text(b"\n".join(data)), name)] if data else []


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise StreamMalformed("it is not UTF-8") from error
