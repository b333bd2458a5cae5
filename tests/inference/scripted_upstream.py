"""A small real HTTP server that speaks chat completions as a test says: well, slowly, brokenly, or not at all.

As a program it counts for ever: `python -m tests.inference.scripted_upstream PORT LOG`, a line in LOG per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL = "tests/counting"


class Gone(Exception):
    """The client has hung up."""


@dataclass(eq=False)
class Exchange:
    """One request and the means to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    hung_up: threading.Event = field(default_factory=threading.Event)

    async def send(self, data: bytes) -> None:
        if self.hung_up.is_set():
            raise Gone
        self.writer.write(data)
        await self.writer.drain()

    async def respond(self, status: int, document: Any, **headers: str) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}", "Connection: close"]
        lines += ["Content-Type: application/json"] if "Content_Type" not in headers else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + content)

    async def begin(self, kind: str = "text/event-stream; charset=utf-8") -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        await self.send(head.encode())

    async def raw(self, data: bytes) -> None:
        """Bytes of the body, as one piece on the wire."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        await self.raw(f"data: {text}\n\n".encode())

    async def say(self, text: str | None = None, finish_reason: str | None = None, **more: Any) -> None:
        """One chunk of a chat completion; `more` goes into the choice."""
        delta = {} if text is None else {"content": text}
        delta.update(more.pop("delta", {}))
        usage = more.pop("usage", None)
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
        await self.event(
            {"object": "chat.completion.chunk", "choices": [choice], **({"usage": usage} if usage else {})}
        )

    async def usage(self, prompt_tokens: int, completion_tokens: int) -> None:
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        await self.event({"choices": [], "usage": usage})

    async def end(self, *, done: bool = True) -> None:
        if done:
            await self.event("[DONE]")
        await self.send(b"0\r\n\r\n")

    def drop(self) -> None:
        """The connection breaks: the client's next read is an error."""
        self.writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


async def count(exchange: Exchange, step_s: float = 0.002) -> None:
    """As vLLM does: "1 2 3 …" up to max_tokens, a token and the counts so far in every chunk."""
    if exchange.body.get("echo"):
        await echo(exchange)
        return
    prompt_tokens = sum(len(message["content"].split()) for message in exchange.body["messages"])
    limit = exchange.body["max_tokens"]
    if "count to " in (asked := exchange.body["messages"][-1]["content"]):
        limit = min(limit, int(asked.rpartition(" ")[2]))
    await exchange.begin()
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 0}
    await exchange.say("", delta={"role": "assistant"}, usage=usage)
    for number in itertools.count(1):
        if number > limit:
            break
        await asyncio.sleep(step_s)
        text = f"{number} "
        logprobs = {"content": [{"token": text, "logprob": -0.5, "top_logprobs": []}]}
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": number}
        await exchange.say(text, logprobs=logprobs, token_ids=[number], usage=usage)
    await exchange.say(None, "length" if limit == exchange.body["max_tokens"] else "stop", usage=usage)
    await exchange.usage(prompt_tokens, limit)
    await exchange.end()


async def echo(exchange: Exchange) -> None:
    """As vLLM answers a completion that is to add nothing: the prompt's own tokens, here one per word."""
    words = re.findall(r"\s*\S+", exchange.body["prompt"])
    count = len(words)
    legacy = {
        "tokens": words,
        "token_logprobs": [None, *([-0.5] * (count - 1))],
        "top_logprobs": [None, *({word: -0.5, " other": -1.5} for word in words[1:])],
    }
    ids = list(range(7, 7 + count))
    await exchange.begin()
    choice = {
        "index": 0,
        "text": "".join(words),
        "logprobs": legacy,
        "prompt_token_ids": ids,
        "finish_reason": "length",
    }
    await exchange.event({"object": "text_completion", "choices": [choice]})
    await exchange.usage(count, 0)
    await exchange.end()


def models_document(owned_by: str = "vllm", **more: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": owned_by, **more}]}


class ScriptedUpstream:
    """Runs from its construction until `close`; `behave` may change between requests."""

    def __init__(self, behave: Behaviour = count, *, port: int = 0) -> None:
        self.behave = behave
        self.models: Any = models_document()
        self.exchanges: list[Exchange] = []
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port, ready), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [exchange.body for exchange in self.exchanges]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def _run(self, port: int, ready: threading.Event) -> None:
        async def serve() -> None:
            self._stop = asyncio.Event()
            server = await asyncio.start_server(self._serve, "127.0.0.1", port)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stop.wait()
            server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
            await asyncio.sleep(0.01)

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            exchange = await _read_request(reader, writer)
            watch = asyncio.ensure_future(_watch(reader, exchange))
            if exchange.path == "/v1/models":
                await exchange.respond(200, self.models)
            elif exchange.method == "GET":
                await exchange.respond(404, {"detail": "Not Found"})
            else:
                self.exchanges.append(exchange)
                await self.behave(exchange)
            watch.cancel()
        except (Gone, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return Exchange(method, path, headers, json.loads(content or b"{}"), writer)


async def _watch(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read(1)
    exchange.hung_up.set()


def main() -> None:
    port, log = int(sys.argv[1]), Path(sys.argv[2])

    def write(line: str) -> None:
        with log.open("a") as file:
            file.write(f"{line}\n")

    async def count_and_log(exchange: Exchange) -> None:
        write("asked")
        try:
            await count(exchange, 0.02)
        except (Gone, ConnectionError):
            write("hung up")

    ScriptedUpstream(count_and_log, port=port)
    threading.Event().wait()


if __name__ == "__main__":
    main()
