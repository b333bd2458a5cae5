"""The Celery application. Tasks carry ids only: the database row is the truth, the broker only wakes workers."""

from __future__ import annotations

import os
import warnings
from typing import Any, Final

from celery import Celery, signals
from celery.app.amqp import AMQP
from celery.exceptions import CPendingDeprecationWarning
from kombu import Connection

# Celery's pause between two tries grows to half a minute, which prompts would wait for after the broker is back.
RECONNECT_EVERY_S: Final = 2


class _SteadyConnection(Connection):
    def ensure_connection(self, *args: Any, **options: Any) -> Connection:  # type: ignore[override]  # passed on
        return super().ensure_connection(*args, **{"interval_max": RECONNECT_EVERY_S, **options})


class _SteadyAMQP(AMQP):
    Connection = _SteadyConnection


@signals.worker_ready.connect
def leave_out_advice(**kwargs: Any) -> None:
    """Not to say at each loss of the broker what may become of tasks that are acknowledged late; ours are not."""
    # Celery lets all its warnings through when it sets up its log.
    warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced", CPendingDeprecationWarning)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal", amqp=_SteadyAMQP, fixups=["portal.task_connections:fixup"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="job_tasks")
