"""The id of the request being answered, from wherever the code stands, and on every log line."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

NO_REQUEST: Final = "-"

# A request has a task of its own under ASGI, and asgiref carries the context into its threads.
current_request_id: ContextVar[str] = ContextVar("current_request_id", default=NO_REQUEST)


class RequestIdFilter(logging.Filter):
    """Gives each record a `request_id`; `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True
