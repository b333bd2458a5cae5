"""What keeps workers and recurring jobs in step through the database alone."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, models, transaction
from django.utils import timezone


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

    @classmethod
    def take(cls, name: str, span: timedelta) -> bool:
        """Whether nobody took it within the span before; then nobody else gets it within the one that begins."""
        now = timezone.now()
        if cls.objects.filter(pk=name, free_at__lte=now).update(free_at=now + span):
            return True
        if cls.objects.filter(pk=name).exists():
            return False
        try:
            with transaction.atomic():
                cls.objects.create(pk=name, free_at=now + span)
        except IntegrityError:
            return False
        return True
