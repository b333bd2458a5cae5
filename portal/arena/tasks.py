"""Recompute rankings when votes have come: single flight for each, woken by votes, by readers and by the clock."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from celery import current_app, shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from portal.accounts.worker_rounds import repeat_in_workers
from portal.arena.models import Pool, Ranking
from portal.arena.ranking import Filters, HighWater, compute_ranking

logger = logging.getLogger(__name__)

REFRESH_RANKINGS: Final = "arena.refresh_rankings"
# A ranking whose computer died is taken over after this.
LONGEST_COMPUTATION: Final = timedelta(minutes=10)
# After a computation the next waits ten times as long as it took: votes that keep coming cost a tenth of a core.
REST_FACTOR: Final = 10
REFRESH_EVERY_S: Final = 60.0
KEPT_RANKINGS: Final = 200
READ_WITHIN: Final = timedelta(days=7)

# A hung broker holds a publisher for seconds; the person who voted must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rankings")


def refresh_rankings_soon() -> None:
    """Once the current transaction commits, wake a worker, in the background. A lost message costs until the next."""
    transaction.on_commit(lambda: _publisher.submit(_publish))


def _publish() -> None:
    try:
        current_app.send_task(
            REFRESH_RANKINGS, queue=settings.CELERY_TASK_DEFAULT_QUEUE, confirm_timeout=settings.REDIS_SOCKET_TIMEOUT_S
        )
    except Exception as error:  # noqa: BLE001  each broker library raises its own
        logger.warning("The rankings wait for the next vote or reader, the broker did not take the message: %s", error)


@shared_task(name=REFRESH_RANKINGS)
def refresh_rankings() -> None:
    """Bring every ranking that people read up to date, and forget those that nobody asks for."""
    for pool in Pool.objects.all():
        remember_ranking(Filters(pool=pool.slug))
    kept = Ranking.objects.order_by("-asked_at").values_list("pk", flat=True)[:KEPT_RANKINGS]
    Ranking.objects.exclude(pk__in=list(kept)).delete()
    read_lately = Ranking.objects.filter(Q(asked_at__gte=timezone.now() - READ_WITHIN) | Q(result=None))
    for ranking in read_lately.defer("result"):
        try:
            refresh_ranking(ranking)
        except Exception:
            # The others do not wait for its mending.
            logger.exception("The ranking %s could not be computed", ranking.filters)


repeat_in_workers("refresh-rankings", REFRESH_EVERY_S, refresh_rankings)


def remember_ranking(filters: Filters) -> Ranking:
    """The filters' row, whose result is None until it has been computed."""
    ranking, _is_new = Ranking.objects.get_or_create(pk=filters.key, defaults={"filters": filters.as_mapping()})
    return ranking


def refresh_ranking(ranking: Ranking) -> bool:
    """Compute it again if votes have come since; says whether it did. Of several at once, one computes."""
    filters = Filters(**ranking.filters)
    high_water = HighWater.of(filters)
    if ranking.is_made_of(high_water.votes, high_water.changed_at) or not ranking.claim(LONGEST_COMPUTATION):
        return False
    started = time.monotonic()
    try:
        result = compute_ranking(filters)
        took_s = time.monotonic() - started
        ranking.store(result, high_water.votes, high_water.changed_at, rest=timedelta(seconds=REST_FACTOR * took_s))
    except Exception:
        ranking.release(timedelta(seconds=30))
        raise
    logger.info("The ranking of %d votes took %.2f s", high_water.votes, took_s)
    return True
