"""Many viewers on running streams against one web process: what the portal adds to each event, and what one costs.

    python -m benchmarks.viewers [--viewers 16 200] [--streams 16] [--tokens-per-s 10]

Starts Valkey, one worker and one web process in a home of its own, without weights: the scripted engine's every token
is the moment at which it was made, so an event's delay is what lies between the engine and the viewer's socket
(publisher, Valkey, fan-out, server-sent events), measured for every event after the last viewer has come. Viewers share
the streams evenly. Some of them lose the network: nothing comes through for ten seconds, then they come back with
Last-Event-ID as a browser does; their delays are left out. At the end each viewer must have had each event once, in
order, and the row's whole text; any other is counted as dropped, and the exit status is 1.

Memory is the web process's largest RSS with the viewers less the one before, per viewer. All viewers live in one
process beside the servers. `web` and `client` are the cores that the web process and the viewers' process used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import django
import psutil
from django.core.management import call_command

from tests.services.installation import ROOT, eventually, free_port
from tests.services.valkey import Valkey

SETTINGS = "benchmarks._clock_settings"
UNLIMITED = {"GENERATION_RATE": "100000/minute", "MAX_CONCURRENT_GENERATIONS": "1000", "MAX_OUTPUT_TOKENS": "100000"}
READY_WITHIN_S = 90.0
LOST_AFTER_S = 2.0
LOST_FOR_S = 10.0
RUN_S = 25.0
# What the server writes at once stands in one chunk, so no chunk's head is inside of an event.
EVENT = re.compile(rb"(?:id: 1-(\d+)\n)?event: (\w+)\ndata: (\{.*\})\n\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of viewers."""

    viewers: int
    streams: int
    events: int
    delay_p50_ms: float
    delay_p95_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    memory_per_viewer_kib: float
    web_cores: float
    client_cores: float
    came_back: int
    dropped: int


class Stream(NamedTuple):
    """A running answer and its owner's cookie."""

    run: uuid.UUID
    cookie: str


class Reception(asyncio.Protocol):
    """The bytes of one connection and when they came: read afterwards, since the client must cost next to nothing."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.has_begun: asyncio.Future[None] = loop.create_future()
        self.is_over: asyncio.Future[None] = loop.create_future()
        self._ends: list[int] = []
        self._moments: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._ends.append(len(self.received))
        self._moments.append(time.time())
        if not self.has_begun.done() and b"event: delta" in self.received:
            self.has_begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.has_begun, self.is_over):
            if not future.done():
                future.set_result(None)

    def events(self) -> Iterator[tuple[int, str, dict[str, Any], float]]:
        """Number (0 for one that stands in no stream), type, data and the moment when it was whole."""
        assert self.received.startswith(b"HTTP/1.1 200 "), bytes(self.received[:500])
        for match in EVENT.finditer(bytes(self.received)):
            arrived = self._moments[bisect_left(self._ends, match.end())]
            yield int(match[1] or 0), match[2].decode(), json.loads(match[3]), arrived


class Viewer:
    """One open page: its connections, one after the other."""

    def __init__(self, port: int, stream: Stream, *, loses_network: bool) -> None:
        self.stream = stream
        self.loses_network = loses_network
        self.has_begun = asyncio.Event()
        self._port = port
        self._connections: list[Reception] = []

    async def watch(self, all_have_begun: asyncio.Event) -> None:
        reception = await self._connect(after=0)
        await reception.has_begun
        self.has_begun.set()
        if self.loses_network:
            await all_have_begun.wait()
            await asyncio.sleep(LOST_AFTER_S)
            assert reception.transport is not None
            reception.transport.pause_reading()
            await asyncio.sleep(LOST_FOR_S)
            reception.transport.abort()
            await reception.is_over
            reception = await self._connect(after=max(number for number, *_ in reception.events()))
        await reception.is_over

    async def _connect(self, after: int) -> Reception:
        loop = asyncio.get_running_loop()
        _, reception = await loop.create_connection(Reception, "127.0.0.1", self._port)
        self._connections.append(reception)
        resumed = [f"Last-Event-ID: 1-{after}"] if after else []
        lines = [
            f"GET /playground/g/{self.stream.run}/events/ HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}", f"Cookie: {self.stream.cookie}", "Connection: close", *resumed, "", "",
        ]  # fmt: skip
        assert reception.transport is not None
        reception.transport.write("\r\n".join(lines).encode())
        return reception

    def delays(self, since: float) -> list[float]:
        """Seconds from the engine to this viewer, for tokens made after `since`."""
        found = []
        for _, kind, data, arrived in self._connections[0].events():
            if kind == "delta" and (made := float(data["text"])) > since:
                found.append(arrived - made)
        return found

    def has_seen_all_once(self, text: str) -> bool:
        events = [event for each in self._connections for event in each.events() if event[1] != "queued"]
        numbers = [number for number, *_ in events]
        seen = "".join(data["text"] for _, kind, data, _ in events if kind == "delta")
        return numbers == list(range(1, len(numbers) + 1)) and seen == text and events[-1][1] == "finished"


def portal(module: str) -> Any:
    """A module of the portal, which can be imported only once Django is set up."""
    return import_module(f"portal.{module}")


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[psutil.Process]:
    environment = portal("operations.programs").child_environment({"DJANGO_SETTINGS_MODULE": SETTINGS})
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def make_variant(tokens_per_s: float) -> Any:
    models = portal("catalog.models")
    card = models.ModelCard.objects.create(owner_name="benchmarks", slug="clock", title="Clock")
    facts = {"step_s": 1 / tokens_per_s}
    return models.Variant.objects.create(card=card, slug="scripted", backend="scripted", source="none", facts=facts)


def start_stream(variant: Any, tokens: int) -> Stream:
    """An answer of so many tokens, asked for by a new visitor."""
    actors, conf = portal("accounts.actors"), import_module("django.conf").settings
    params = import_module("inference.sampling_params").SamplingParams(max_tokens=tokens + 1)
    key = uuid.uuid4()
    actor = actors.Actor(visitor=key, network=str(key))
    run = portal("playground.services").start_generation(actor, variant=variant, prompt=str(tokens), params=params)
    session = import_module(conf.SESSION_ENGINE).SessionStore()
    session[actors.VISITOR_SESSION_KEY] = str(key)
    session.create()
    return Stream(run.pk, f"{conf.SESSION_COOKIE_NAME}={session.session_key}")


async def warm_up(port: int, stream: Stream) -> None:
    """One viewer for whom the web process imports what it only then needs."""
    has_begun = asyncio.Event()
    has_begun.set()
    await Viewer(port, stream, loses_network=False).watch(has_begun)


def measure(web: psutil.Process, port: int, variant: Any, viewers: int, options: argparse.Namespace) -> Row:
    generation = portal("playground.models").Generation
    memory_before = web.memory_info().rss
    tokens = int(RUN_S * options.tokens_per_s)
    streams = [start_stream(variant, tokens) for _ in range(options.streams)]
    asked = {each.run for each in streams}
    eventually(
        lambda: generation.objects.filter(pk__in=asked, state="running").count() == len(asked),
        READY_WITHIN_S,
        "all streams run",
    )
    return asyncio.run(_watch(web, port, streams, viewers, memory_before, options.lose_network))


async def _watch(
    web: psutil.Process, port: int, streams: Sequence[Stream], count: int, memory_before: int, lost: int
) -> Row:
    every = max(1, count // lost) if lost else count + 1
    people = [
        Viewer(port, stream, loses_network=number % every == every - 1)
        for number, stream in enumerate(islice(cycle(streams), count))
    ]
    all_have_begun = asyncio.Event()
    watching = [asyncio.create_task(each.watch(all_have_begun)) for each in people]
    await asyncio.gather(*(each.has_begun.wait() for each in people))
    began, web_before, own_before = time.time(), _processor_s(web), time.process_time()
    all_have_begun.set()
    memory = web.memory_info().rss
    while any(not each.done() for each in watching):
        memory = max(memory, web.memory_info().rss)
        await asyncio.sleep(0.5)
    took_s = time.time() - began
    web_s, own_s = _processor_s(web) - web_before, time.process_time() - own_before
    await asyncio.gather(*watching)
    texts = await asyncio.to_thread(_texts, streams)
    delays = [1000 * delay for each in people if not each.loses_network for delay in each.delays(began)]
    centiles = statistics.quantiles(delays, n=100)
    return Row(
        viewers=count,
        streams=len(streams),
        events=len(delays),
        delay_p50_ms=round(centiles[49], 1),
        delay_p95_ms=round(centiles[94], 1),
        delay_p99_ms=round(centiles[98], 1),
        delay_max_ms=round(max(delays), 1),
        memory_per_viewer_kib=round((memory - memory_before) / 1024 / count, 1),
        web_cores=round(web_s / took_s, 2),
        client_cores=round(own_s / took_s, 2),
        came_back=sum(each.loses_network for each in people),
        dropped=sum(not each.has_seen_all_once(texts[each.stream.run]) for each in people),
    )


def _texts(streams: Sequence[Stream]) -> dict[uuid.UUID, str]:
    asked = [each.run for each in streams]
    return dict(portal("playground.models").Generation.objects.filter(pk__in=asked).values_list("pk", "output"))


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def as_markdown(rows: Sequence[Row]) -> str:
    columns = (
        *("viewers", "streams", "events", "delay p50, ms", "p95", "p99", "max"),
        *("KiB per viewer", "web", "client", "came back", "dropped"),
    )
    lines = ["| " + " | ".join(columns) + " |", "|" + "--:|" * len(columns)]
    lines += ["| " + " | ".join(str(value) for value in asdict(row).values()) + " |" for row in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, nargs="+", default=[16, 200])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens-per-s", type=float, default=10, help="of each stream")
    parser.add_argument("--lose-network", type=int, default=8, help="how many viewers do")
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        valkey = Valkey()
        stack.callback(valkey.close)
        os.environ |= {
            **UNLIMITED,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "STEELYARD_HOME": folder,
            "DATABASE_URL": f"sqlite:///{folder}/database.sqlite3",
            "REDIS_URL": valkey.url,
            "CELERY_BROKER_URL": valkey.url,
            "WORKER_CONCURRENCY": str(options.streams),
        }
        django.setup()
        call_command("migrate", verbosity=0)
        variant = make_variant(options.tokens_per_s)
        programs, port = portal("operations.programs"), free_port()
        stack.enter_context(running(programs.worker_command(), Path(folder) / "worker.log"))
        web = stack.enter_context(running(programs.web_command("127.0.0.1", port), Path(folder) / "web.log"))

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                    return True
            except OSError:
                return False

        eventually(answers, READY_WITHIN_S, "the web process answers")
        asyncio.run(warm_up(port, start_stream(variant, tokens=5)))
        rows = [measure(web, port, variant, viewers, options) for viewers in options.viewers]
    if options.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        print()
    else:
        print(as_markdown(rows))
    return 1 if any(row.dropped for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
