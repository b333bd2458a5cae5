"""What the broker wakes: tasks that carry ids only, and the worker process's life."""

from __future__ import annotations

import logging
import threading
import uuid
from functools import lru_cache
from typing import Any

from celery import shared_task, signals
from django.conf import settings
from django.db import DatabaseError, connection

from inference.engine import EngineClosed
from portal.catalog.models import Variant
from portal.playground.keeper import Keeper
from portal.playground.loading import log_failed_load
from portal.playground.sweep import sweep_generations
from portal.playground.worker import GenerationWorker

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def this_worker() -> GenerationWorker:
    """The process's one worker; its engines are shared by all task threads."""
    return GenerationWorker()


@shared_task(name="playground.run_generation")
def run_generation(generation_id: str) -> None:
    this_worker().run(uuid.UUID(generation_id))


@shared_task(name="playground.sweep_generations")
def sweep() -> None:
    sweep_generations()


@signals.worker_ready.connect
def begin(sender: Any, **kwargs: Any) -> None:
    """Load the weights of the queues that this worker serves, then say that it is ready."""
    queues = [queue.name for queue in sender.app.amqp.queues.consume_from.values()]
    worker = this_worker()
    keeper = Keeper(worker, queues)

    keeper.start()

    def load() -> None:
        _load_weights(worker, queues)
        keeper.say_ready()

    threading.Thread(target=load, name="load-weights", daemon=True).start()

    @signals.worker_shutting_down.connect(weak=False)
    def end(**kwargs: Any) -> None:
        # Celery waits for running tasks without bound, so ending them in time is ours to do; not in this thread,
        # which is a signal handler's.
        grace_s = settings.GENERATION_SHUTDOWN_GRACE_S
        threading.Thread(target=worker.drain, args=(grace_s,), name="drain", daemon=True).start()

    @signals.worker_shutdown.connect(weak=False)
    def ended(**kwargs: Any) -> None:
        keeper.stop()
        worker.stop()


def _load_weights(worker: GenerationWorker, queues: list[str]) -> None:
    try:
        variants = list(Variant.objects.select_related("card", "base__card").filter(queue__in=queues, is_runnable=True))
    except DatabaseError:
        logger.exception("Which weights to load is not known; they load with their first prompt")
        variants = []
    finally:
        connection.close()
    # Rounded forms of weights wait for their first prompt: most people ask for the first variant.
    pinned = settings.WORKER_PINNED_VARIANTS
    variants = [each for each in variants if each.base is None or each.is_adapter or each.model_id in pinned]
    # What is pinned comes first, and an adapter loads in no time once its base has.
    variants.sort(key=lambda each: (each.model_id not in pinned, each.is_adapter))
    for place, variant in enumerate(variants, start=1):
        logger.info("Loading %s (%d of %d)", variant.model_id, place, len(variants))
        try:
            has_room = worker.engines.warm(variant)
        except EngineClosed:
            return
        except Exception as error:  # noqa: BLE001 - each library raises its own; the other weights are loaded all the same
            log_failed_load(variant, error)
        else:
            logger.info("%s is ready" if has_room else "%s waits for its first prompt to be loaded", variant.model_id)
