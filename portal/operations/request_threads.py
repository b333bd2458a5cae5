"""Django under ASGI with all of a request's synchronous work in one thread, and with threads that outlive a request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# More than these are busy only in a rush; an idle one keeps a connection to the database.
THREADS_KEPT: Final = 16


class RequestThreads:
    """Executors of one thread each, lent to one request at a time; used on the event loop alone.

    The one given back last is lent first: its connection to the database is the warmest.
    """

    def __init__(self, kept: int = THREADS_KEPT) -> None:
        self._kept = kept
        self._idle: list[ThreadPoolExecutor] = []

    def lend(self) -> ThreadPoolExecutor:
        """An idle thread, or a new one: a request never waits for another one's."""
        return self._idle.pop() if self._idle else ThreadPoolExecutor(1, thread_name_prefix="request")

    def take_back(self, executor: ThreadPoolExecutor) -> None:
        """The request has ended."""
        if len(self._idle) < self._kept:
            self._idle.append(executor)
        else:
            executor.shutdown(wait=False)


class OneThreadHandler(ASGIHandler):
    """Enters the synchronous chain of middleware once per request.

    Django's own handler makes a thread, and hence a connection to the database, for every request, and crosses between
    it and the event loop for each synchronous piece of middleware: some twenty times before a view begins. Where both
    cores compute tokens, every crossing waits for its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._threads = RequestThreads()

    def load_middleware(self, is_async: bool = False) -> None:
        """The chain for threads; an asynchronous view is still awaited on the event loop."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """The response out of the request's thread."""
        return await sync_to_async(self.get_response)(request)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve a request in a lent thread."""
        if scope["type"] != "http":
            raise ValueError(f"Steelyard serves HTTP alone, not {scope['type']}.")
        thread = self._threads.lend()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            self._threads.take_back(thread)
