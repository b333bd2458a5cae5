"""Django under ASGI with all of a request's synchronous work in one thread, and with threads that outlive a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import IO, Any, Final, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from portal.accounts.idle_connections import give_connection_back
from portal.operations.probes import HEALTH_PATH, READY_PATH
from portal.playground.client_presence import client_arrives, client_leaves
from portal.playground.waiting import waiting_begins, when_waiting_begins

# More than these are busy only in a rush; an idle one keeps a connection to the database.
THREADS_KEPT: Final = 16
# For all event streams together, whose queries are short and seldom: a viewer has no thread and no connection.
STREAM_THREADS: Final = 4
# In a rush so many requests are at work at once: one computes, under the interpreter's lock, while another one waits
# for the database. With more of them all end when the last one does: of eight prompts sent at once the first then
# reached its worker after 100 ms instead of 50, and the last after 210 instead of 165.
AT_ONCE: Final = 2
PROBES: Final = frozenset({HEALTH_PATH, READY_PATH})
# Who works for longer does not count, and neither does who waits for a model's answer: nobody waits for them.
COUNTED_S: Final = 0.1

P = ParamSpec("P")
R = TypeVar("R")
Receive = Callable[[], Awaitable[Any]]


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


class Rush:
    """Lets requests begin in turn when many come at once; used on the event loop alone."""

    def __init__(self, at_once: int = AT_ONCE, counted_s: float = COUNTED_S) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._counted_s = counted_s

    async def enter(self, receive: Receive) -> Callable[[], None]:
        """Wait for a place. It is free again after a moment, or earlier when what this returns is called.

        Raises RequestAborted when the client leaves before: others have its turn, and nothing is done for nobody.
        """
        if self._places.locked():
            await self._wait(receive)
        else:
            await self._places.acquire()
        is_left = False

        def leave() -> None:
            nonlocal is_left
            if not is_left:
                is_left = True
                moment.cancel()
                self._places.release()

        moment = asyncio.get_running_loop().call_later(self._counted_s, leave)
        return leave

    async def _wait(self, receive: Receive) -> None:
        turn = asyncio.ensure_future(self._places.acquire())
        # Behind a body nothing but a disconnect comes.
        leaving = asyncio.ensure_future(receive())
        is_next = False
        try:
            await asyncio.wait((turn, leaving), return_when=asyncio.FIRST_COMPLETED)
            is_next = not leaving.done()
        finally:
            leaving.cancel()
            if not is_next and not turn.cancel():
                self._places.release()
        if not is_next:
            raise RequestAborted


class RequestThread(Executor):
    """Where one request's synchronous work is done: in its own thread, and while it streams events in a shared one."""

    def __init__(self, threads: RequestThreads, streams: Executor) -> None:
        self._threads = threads
        self._streams = streams
        self._own: ThreadPoolExecutor | None = None
        self._is_given_back = False

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """One call after the other, as asgiref asks; each query of a stream stands for itself."""
        if self._own is None and not self._is_given_back:
            self._own = self._threads.lend()
        return (self._own or self._streams).submit(fn, *args, **kwargs)

    def begin_to_wait(self) -> None:
        """From here on the request streams events. What its view left open is closed before the thread's next call."""
        self.submit(give_connection_back)
        self.give_back()

    def give_back(self) -> None:
        """Be done with the thread of its own, if it still has one."""
        self._is_given_back = True
        if self._own is not None:
            self._threads.take_back(self._own)
            self._own = None


_thread: ContextVar[RequestThread] = ContextVar("request_thread")
_is_probe: ContextVar[bool] = ContextVar("is_probe")


class OneThreadHandler(ASGIHandler):
    """Enters the synchronous chain of middleware once per request.

    Django's own handler makes a thread, and hence a connection to the database, for every request, and crosses between
    it and the event loop for each synchronous piece of middleware: some twenty times before a view begins. Where both
    cores compute tokens, every crossing waits for its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._threads = RequestThreads()
        self._streams = ThreadPoolExecutor(STREAM_THREADS, thread_name_prefix="stream")
        self._rush = Rush()

    def load_middleware(self, is_async: bool = False) -> None:
        """The chain for threads; an asynchronous view is still awaited on the event loop."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """The response out of the request's thread."""
        return await sync_to_async(self.get_response)(request)

    async def read_body(self, receive: Any) -> IO[bytes]:
        """The request's body; then its turn comes. Whoever takes long to send it must not hold up others meanwhile."""
        body: IO[bytes] = await super().read_body(receive)
        # Who asks whether the process lives must not hear that it does not because it is busy.
        if not _is_probe.get():
            try:
                when_waiting_begins(await self._rush.enter(receive))
            except BaseException:
                body.close()
                raise
        return body

    async def listen_for_disconnect(self, receive: Any) -> None:
        """Raises RequestAborted once the client has left; a view that works in its thread hears of it at once."""
        try:
            await super().listen_for_disconnect(receive)
        except RequestAborted:
            client_leaves()
            raise

    async def send_response(self, response: HttpResponseBase, send: Any) -> None:
        """Send it; who watches a run holds no thread meanwhile."""
        waiting_begins()
        if response.headers.get("Content-Type", "").startswith("text/event-stream"):
            _thread.get().begin_to_wait()
        await super().send_response(response, send)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve a request in a lent thread."""
        if scope["type"] != "http":
            raise ValueError(f"Steelyard serves HTTP alone, not {scope['type']}.")
        thread = RequestThread(self._threads, self._streams)
        _is_probe.set(scope["path"] in PROBES)
        _thread.set(thread)
        client_arrives()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            thread.give_back()
            waiting_begins()
