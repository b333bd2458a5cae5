"""What keeps workers and recurring jobs in step through the database alone."""

from __future__ import annotations

from django.db import models


class WorkerHeartbeat(models.Model):
    """A Celery worker that said it is alive; `/readyz`, the queue estimate and the sweep read it."""

    worker_id = models.CharField(max_length=64, primary_key=True)
    hostname = models.CharField(max_length=200)
    queues = models.JSONField(default=list)
    capacity = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.worker_id


class MaintenanceLease(models.Model):
    """Single flight across processes for a recurring job, held in the database since the broker may be away."""

    name = models.CharField(max_length=60, primary_key=True)
    free_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
