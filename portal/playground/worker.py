"""A Celery worker's inside: claim a generation, let an engine run it, write its stream and, at the end, its row."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import UUIDField

from inference.engine import Engine, EngineClosed
from inference.events import Delta, Emission, Failed, FailureCode, Finished, Released
from portal.accounts.idle_connections import give_connection_back
from portal.catalog.services import note_engine
from portal.playground import stream
from portal.playground.active_run import ActiveRun, storable
from portal.playground.adapter_shelf import NoRoom
from portal.playground.dispatch import publish
from portal.playground.engine_pool import EnginePool
from portal.playground.joined_delta import JoinedDelta
from portal.playground.loading import log_failed_load
from portal.playground.models import Generation, State, TokenTrace
from portal.playground.publisher import StreamPublisher
from portal.prepared_query import Given, PreparedInstances
from portal.prepared_writing import insert

logger = logging.getLogger(__name__)

# A database that is away for longer costs the run its lease anyway.
RESULT_RETRIES_S: Final = (0.1, 0.5, 1, 2, 4, 8)
UNTELLABLE: Final = "The engine wrote something that cannot be passed on. The operator's log says what."
UNSTORABLE: Final = "The answer was written, but this installation's database refused it. The operator's log says why."
# An adapter's base is asked for where it is needed: few variants are adapters.
_runs_by_id: Final = PreparedInstances(
    lambda: Generation.objects.filter(pk=Given("id", UUIDField())).order_by(), related=["variant", "variant__card"]
)


class GenerationWorker:
    """Runs generations for one worker process. `run` is called from as many threads as there are tasks."""

    def __init__(self) -> None:
        self.worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._accepting = True
        self._runs: dict[str, ActiveRun] = {}
        self._lock = threading.Lock()
        self._publisher = StreamPublisher()
        self.engines = EnginePool(self._on_step)

    def active_runs(self) -> list[ActiveRun]:
        with self._lock:
            return list(self._runs.values())

    def run(self, generation_id: uuid.UUID) -> None:
        """Claim the generation and see it through. Nothing happens unless it is queued, so redelivery is harmless."""
        generation = next(iter(_runs_by_id(id=generation_id)), None)
        if generation is None or generation.state != State.QUEUED or not self._accepting:
            return
        if not self.engines.holds(generation.variant):
            # Building an engine takes long, and a connection that is kept meanwhile is missing elsewhere.
            give_connection_back()
        with ExitStack() as lent:
            try:
                engine = lent.enter_context(self.engines.lend(generation.variant))
            except EngineClosed:
                return
            except NoRoom as error:
                self._fail_unloadable(generation, str(error))
                return
            except Exception as error:  # noqa: BLE001 - each library raises its own; it is logged, and the run fails
                log_failed_load(generation.variant, error)
                what = "upstream" if generation.variant.folder is None else "weights"
                message = f"The {what} of {generation.variant.model_id} cannot be used. The operator's log says why."
                self._fail_unloadable(generation, message)
                return
            self._run_on(engine, generation)
            note_engine(generation.variant, engine.provenance())

    def _run_on(self, engine: Engine, generation: Generation) -> None:
        if not generation.claim(self.worker_id, timedelta(seconds=settings.GENERATION_LEASE_S)):
            return
        run = ActiveRun(generation, engine)
        with self._lock:
            self._runs[run.run_id] = run
        try:
            self._see_through(run)
        finally:
            with self._lock:
                del self._runs[run.run_id]
            self._publisher.close(generation.pk, generation.attempt)

    def lose(self, run: ActiveRun) -> None:
        """Somebody else owns the run: stop computing it and write nothing more."""
        logger.warning("Generation %s was taken over, attempt %d stops", run.generation.pk, run.generation.attempt)
        run.is_lost = True
        self._publisher.close(run.generation.pk, run.generation.attempt)
        run.engine.cancel(run.run_id)

    def drain(self, grace_s: float) -> None:
        """Claim nothing more, let runs end for `grace_s` seconds and give the others back to the queue."""
        self._accepting = False
        self.engines.close(grace_s)
        for run in self.active_runs():
            if not run.ended.is_set():
                run.record(Released())

    def stop(self) -> None:
        """Write what is pending of the streams and end."""
        self._publisher.stop(settings.REDIS_SOCKET_TIMEOUT_S)

    def _see_through(self, run: ActiveRun) -> None:
        generation = run.generation
        self._publisher.open(generation.pk, generation.attempt)
        opening = stream.started(generation.attempt, generation.variant.model_id)
        self._publisher.append(generation.pk, generation.attempt, opening.encode())
        try:
            run.engine.submit(run.request(settings.GENERATION_DEADLINE_S))
        except EngineClosed:
            self._release(run)
            return
        except ValueError as error:
            run.outcome = Failed(FailureCode.UNSUPPORTED, str(error))
        else:
            give_connection_back()
            run.ended.wait()
        if not run.is_lost:
            self._write_outcome(run)

    def _on_step(self, emissions: Sequence[Emission]) -> None:
        """What one decode step produced: to the streams in one write, and to each run's record."""
        batch = []
        for emission in emissions:
            run = self._runs.get(emission.request_id)
            if run is None or run.ended.is_set():
                continue
            event = storable(emission.event)
            if isinstance(event, Delta):
                try:
                    batch.append((run.generation.pk, run.generation.attempt, JoinedDelta.of(event)))
                except TypeError:
                    logger.exception("An event of generation %s cannot be encoded", run.generation.pk)
                    run.engine.cancel(run.run_id)
                    event = Failed(FailureCode.INTERNAL, UNTELLABLE)
            run.record(event)
        if batch:
            self._publisher.append_all(batch)

    def _write_outcome(self, run: ActiveRun) -> None:
        """The row first, the stream's last event after it: who sees the end finds the row complete."""
        outcome, generation = run.outcome, run.generation
        columns = run.result_columns()
        if isinstance(outcome, Finished):
            last = stream.finished(outcome.finish_reason, asdict(outcome.usage), columns["timings"])
        elif isinstance(outcome, Failed):
            last = stream.failed(outcome.code, outcome.message)
        else:
            self._release(run)
            return
        try:
            is_written = self._retrying(lambda: _save_outcome(run, columns))
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            logger.exception("The answer of generation %s cannot be stored", generation.pk)
            last = stream.failed(FailureCode.INTERNAL, UNSTORABLE)
            is_written = self._retrying(lambda: generation.fail(FailureCode.INTERNAL, UNSTORABLE))
        if is_written:
            self._publisher.append(generation.pk, generation.attempt, last.encode())

    def _release(self, run: ActiveRun) -> None:
        if self._retrying(run.generation.release):
            publish(run.generation.pk, run.generation.variant.queue)

    def _fail_unloadable(self, generation: Generation, message: str) -> None:
        if generation.claim(self.worker_id, timedelta(seconds=settings.GENERATION_LEASE_S)):
            generation.fail("unloadable", message)
            self._publisher.open(generation.pk, generation.attempt)
            self._publisher.append(generation.pk, generation.attempt, stream.failed("unloadable", message).encode())
            self._publisher.close(generation.pk, generation.attempt)

    @staticmethod
    def _retrying(write: Callable[[], bool]) -> bool:
        """Write to a database that may be away for a moment; after the last try the lease decides."""
        for pause_s in (*RESULT_RETRIES_S, None):
            try:
                return write()
            except (OperationalError, InterfaceError):
                connection.close()
                if pause_s is None:
                    raise
                logger.warning("The database did not take a result; trying again in %.1f s", pause_s)
                time.sleep(pause_s)
        raise AssertionError("unreachable: the last try returns or raises")


def _save_outcome(run: ActiveRun, columns: dict[str, object]) -> bool:
    generation, outcome = run.generation, run.outcome
    with transaction.atomic():
        if isinstance(outcome, Failed):
            written = generation.fail(outcome.code, outcome.message, **columns)
        else:
            assert isinstance(outcome, Finished)
            written = generation.succeed(finish_reason=outcome.finish_reason, usage=asdict(outcome.usage), **columns)
        if written:
            # Nothing was kept of an attempt before it: this is the one that ended the run.
            insert(TokenTrace(generation=generation, tokens=run.trace()))
    return written
