"""Work that takes longer than a request: imports, and readings of whole tensors. The row is the truth, as with runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class JobState(models.TextChoices):
    """queued → running → succeeded | failed | cancelled; a lost or released job goes back to queued."""

    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


ACTIVE: Final = (JobState.QUEUED, JobState.RUNNING)


class Job(models.Model):
    """One piece of work. Every write after a claim carries its `attempt`; when it changes no row, the work is lost."""

    state = models.CharField(_("state"), max_length=10, choices=JobState, default=JobState.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lost_leases = models.PositiveSmallIntegerField(_("workers lost"), default=0)
    claimed_by = models.CharField(_("worker"), max_length=64, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    stage = models.CharField(_("stage"), max_length=40, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    error = models.CharField(_("error"), max_length=1_000, blank=True)
    created_at = models.DateTimeField(_("asked for"), default=timezone.now)
    dispatch_after = models.DateTimeField(default=timezone.now)
    dispatches = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        abstract = True

    # The Celery task that does this kind of work.
    task: str

    @classmethod
    def rows(cls) -> models.QuerySet[Self]:
        """All work of this kind."""
        return cls._default_manager.all()

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    # Transitions. Each is one conditional UPDATE and says whether it took place.

    def claim(self, worker_id: str, lease: timedelta) -> bool:
        """queued → running. After True, `attempt` is this claim's number, its fence from now on."""
        now = timezone.now()
        claimed = self._move(
            Q(state=JobState.QUEUED, attempt=self.attempt) & self._may_begin(now),
            state=JobState.RUNNING,
            attempt=F("attempt") + 1,
            claimed_by=worker_id,
            lease_expires_at=now + lease,
            started_at=now,
            stage="",
            done=0,
            total=0,
        )
        if claimed:
            self.attempt += 1
            self.state = JobState.RUNNING
        return claimed

    def renew(self, lease: timedelta, **progress: Any) -> bool:
        """Keep the claim and write how far the work is. False when somebody else owns it."""
        return self._move(self._mine(), lease_expires_at=timezone.now() + lease, **progress)

    def succeed(self, **result: Any) -> bool:
        """running → succeeded, with the result's columns."""
        return self._end(self._mine(), JobState.SUCCEEDED, **result)

    def fail(self, message: str, **result: Any) -> bool:
        """running → failed, with a sentence for the person who asked."""
        return self._end(self._mine(), JobState.FAILED, error=message[:1_000], **result)

    def stop(self, **result: Any) -> bool:
        """running → cancelled: the worker did as it was asked."""
        return self._end(self._mine(), JobState.CANCELLED, **result)

    def release(self) -> bool:
        """running → queued: this worker gives the work back, another may begin it anew."""
        return self._give_back(self._mine())

    def expire_to_queued(self) -> bool:
        """running → queued: the lease of the attempt that this object shows has run out."""
        return self._give_back(self._expired(), lost_leases=F("lost_leases") + 1)

    def expire_to_failed(self, message: str) -> bool:
        """running → failed: the lease has run out too often."""
        return self._end(self._expired(), JobState.FAILED, lost_leases=F("lost_leases") + 1, error=message)

    def request_cancel(self) -> bool:
        """End waiting work at once; ask a running one's worker to stop it. False when it had ended already."""
        if not self._move(Q(state__in=ACTIVE), cancel_requested_at=timezone.now()):
            return False
        self._end(Q(state=JobState.QUEUED), JobState.CANCELLED)
        return True

    def ask_again(self) -> bool:
        """failed | cancelled → queued: somebody wants it once more."""
        return self._queue_again(JobState.FAILED, JobState.CANCELLED)

    def take_for_dispatch(self, pause: timedelta) -> bool:
        """Say that a worker is being woken now, so that nobody does it twice before `pause` is over."""
        return self._move(
            Q(state=JobState.QUEUED, dispatches=self.dispatches),
            dispatches=F("dispatches") + 1,
            dispatch_after=timezone.now() + pause,
        )

    def _queue_again(self, *ended: JobState) -> bool:
        return self._move(
            Q(state__in=ended),
            state=JobState.QUEUED,
            error="",
            lost_leases=0,
            cancel_requested_at=None,
            finished_at=None,
            dispatch_after=timezone.now(),
            dispatches=0,
        )

    def _give_back(self, condition: Q, **values: Any) -> bool:
        cancelled = self._end(condition & Q(cancel_requested_at__isnull=False), JobState.CANCELLED, **values)
        return cancelled or self._move(
            condition,
            state=JobState.QUEUED,
            claimed_by="",
            lease_expires_at=None,
            started_at=None,
            dispatch_after=timezone.now(),
            dispatches=0,
            **values,
        )

    def _end(self, condition: Q, state: JobState, **values: Any) -> bool:
        return self._move(
            condition, state=state, finished_at=timezone.now(), lease_expires_at=None, claimed_by="", **values
        )

    def _may_begin(self, now: datetime) -> Q:
        """What else has to hold for a claim."""
        return Q()

    def _mine(self) -> Q:
        return Q(state=JobState.RUNNING, attempt=self.attempt)

    def _expired(self) -> Q:
        return self._mine() & Q(lease_expires_at__lt=timezone.now())

    def _move(self, condition: Q, **values: Any) -> bool:
        return self.rows().filter(condition, pk=self.pk).update(**values) == 1


class Import(Job):
    """One wish of a maintainer to bring a model in."""

    task = "catalog.run_import"

    source = models.CharField(_("source"), max_length=500)
    # What else was chosen (import_source.ImportRequest), empty texts left out.
    options = models.JSONField(_("options"), default=dict)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    variant = models.ForeignKey("catalog.Variant", on_delete=models.SET_NULL, null=True, related_name="+")
    created_variant = models.BooleanField(default=False)
    left_out = models.JSONField(default=list)
    # [time, stage] of each stage that began.
    log = models.JSONField(default=list)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=Q(state__in=ACTIVE), name="import_once_at_a_time")
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="import_created")]

    def __str__(self) -> str:
        return self.source

    def get_absolute_url(self) -> str:
        return reverse("catalog:import", args=[self.pk])

    @property
    def has_downloaded(self) -> bool:
        """Whether a hub's files began to arrive; what arrived is kept where the import failed."""
        return any(stage == "downloading" for _time, stage in self.log)


class Reading(models.TextChoices):
    """What is read out of weights."""

    TENSOR = "tensor", _("One tensor's values")
    COMPARISON = "comparison", _("What differs between two variants")
    MEASURING = "measuring", _("A variant's speed and quality here")


class WeightReading(Job):
    """One reading of weights and its result, kept under what was read: the same weights are read once."""

    task = "catalog.read_weights"

    # SHA-256 of what is read: the files' digests, which tensors, which way of reading.
    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10, choices=Reading)
    variant = models.ForeignKey("catalog.Variant", on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey("catalog.Variant", on_delete=models.CASCADE, null=True, related_name="+")
    part = models.CharField(max_length=10, blank=True)
    tensor = models.TextField(blank=True)
    result = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("reading of weights")
        verbose_name_plural = _("readings of weights")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.tensor or self.other_id}"

    def _may_begin(self, now: datetime) -> Q:
        """Of all that is measured in any worker one at a time, since two would measure each other."""
        if self.kind != Reading.MEASURING:
            return Q()
        under_way = WeightReading.objects.filter(
            kind=Reading.MEASURING, state=JobState.RUNNING, lease_expires_at__gt=now
        )
        return Q(~Exists(under_way))

    def ask_again(self) -> bool:
        """As every job; what was measured may be other the next time, so that is asked for again when it is done."""
        done = (JobState.SUCCEEDED,) if self.kind == Reading.MEASURING else ()
        return self._queue_again(JobState.FAILED, JobState.CANCELLED, *done)
