"""Snapshots: numbered, immutable releases, which records each has, and who took them."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import PurePosixPath
from typing import Any, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models import Max, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.catalog.job_models import Job, JobState
from portal.exports.change_models import Change, ChangeKind, RecordKind

MAX_TITLE_CHARACTERS: Final = 120
MAX_NOTE_CHARACTERS: Final = 2_000


class Salting(models.TextChoices):
    """Which salt makes the contributors' pseudonyms; neither leaves the installation."""

    OWN = "own", _("One of this snapshot's own: nobody is recognised in another snapshot or in the API")
    SHARED = "shared", _("The installation's: the pseudonyms are those of the API and of other such snapshots")


class Stage(models.TextChoices):
    """What a worker is doing for a snapshot. Behind WRITING stands the table's name (`of_table`)."""

    WRITING = "writing", _("Writing")
    WAITING = "waiting", _("Waiting for the snapshot before")
    COMPARING = "comparing", _("Comparing with the snapshot before")
    STORING = "storing", _("Storing")

    @classmethod
    def of_table(cls, name: str) -> str:
        return f"{cls.WRITING.value}:{name}"


class NumberTaking(Enum):
    """What came of the wish for a number: it is held now, another snapshot comes first, the work is lost."""

    TAKEN = auto()
    OTHERS = auto()
    LOST = auto()


class Snapshot(Job):
    """One release: what it selects, and, once it succeeded, what it holds. From then on nothing of it changes."""

    task = "exports.build_snapshot"

    # Held while its files are completed, by one snapshot at a time, and given back by whatever ends without publishing:
    # so published ones count up without a gap.
    number = models.PositiveIntegerField(_("number"), null=True, blank=True, unique=True, editable=False)
    title = models.CharField(_("title"), max_length=MAX_TITLE_CHARACTERS)
    note = models.TextField(_("note"), max_length=MAX_NOTE_CHARACTERS, blank=True)
    tables = models.JSONField(_("tables"))
    # exports.criteria.Criteria as texts; `as_of` bounds it.
    criteria = models.JSONField(_("filters"), default=dict)
    as_of = models.DateTimeField(_("as of"), default=timezone.now)
    salting = models.CharField(_("pseudonyms"), max_length=6, choices=Salting, default=Salting.OWN)
    salt = models.CharField(max_length=64, editable=False)
    redacts = models.BooleanField(_("replaces what looks like personal data"), default=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    previous = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    manifest = models.JSONField(_("manifest"), default=dict)

    class Meta:
        verbose_name = _("snapshot")
        verbose_name_plural = _("snapshots")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state=JobState.SUCCEEDED) | Q(number__isnull=False), name="published_snapshot_has_number"
            )
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="snapshot_created")]

    def __str__(self) -> str:
        return f"{self.number or '-'} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("exports:snapshot", args=[self.pk])

    @property
    def is_published(self) -> bool:
        return self.state == JobState.SUCCEEDED

    @property
    def is_being_stored(self) -> bool:
        """Then its progress counts bytes, and rows otherwise."""
        return self.stage == Stage.STORING

    @property
    def stage_label(self) -> str:
        """What a worker is doing, in the reader's language."""
        name, _colon, table = self.stage.partition(":")
        if table:
            return gettext("Writing the table %(name)s") % {"name": table}
        return str(Stage(name).label) if name in Stage else name

    @property
    def folder(self) -> str:
        """Where its files lie in the storage."""
        return f"{self.number:05d}"

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Path → {"bytes", "sha256", …} of each file, the manifest aside."""
        files: dict[str, dict[str, Any]] = self.manifest.get("files", {})
        return files

    def stored_name(self, path: str) -> str:
        """A file's name in the storage; only names that the manifest has may come here."""
        return str(PurePosixPath(self.folder) / path)

    def succeed(self, **result: Any) -> bool:
        """running → succeeded, which publishes it and is told to who follows what moves."""
        with transaction.atomic():
            published = super().succeed(**result)
            if published:
                assert self.number is not None  # published_snapshot_has_number
                Change.note(RecordKind.SNAPSHOT, self.number, ChangeKind.CREATED)
        return published

    def take_number(self) -> NumberTaking:
        """Hold the next number while the files are completed."""
        with transaction.atomic():
            # Whoever takes one locks all that are being built, so that of two at once the second sees the first.
            being_built = Snapshot.objects.select_for_update().filter(state=JobState.RUNNING).order_by("pk")
            if any(each.number is not None and each.pk != self.pk for each in being_built.only("number")):
                return NumberTaking.OTHERS
            number = (Snapshot.objects.aggregate(highest=Max("number"))["highest"] or 0) + 1
            if not self._move(self._mine() & Q(number=None), number=number):
                return NumberTaking.LOST
        self.number = number
        return NumberTaking.TAKEN

    def _end(self, condition: Q, state: JobState, **values: Any) -> bool:
        """As every job; a number that it does not publish goes to the next one."""
        if state != JobState.SUCCEEDED:
            values["number"] = None
        return super()._end(condition, state, **values)

    def _give_back(self, condition: Q, **values: Any) -> bool:
        """As every job; who begins it anew takes a number anew, and nobody waits for that."""
        return super()._give_back(condition, **{**values, "number": None})


class SnapshotRecord(models.Model):
    """A submission or a vote that stands in a snapshot, at its version then."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="records")
    record_id = models.UUIDField()
    is_vote = models.BooleanField(default=False)
    version = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["snapshot", "record_id"], name="snapshot_record_unique")]
        indexes = [models.Index(fields=["record_id"], name="snapshot_record_id")]

    def __str__(self) -> str:
        return f"{self.snapshot_id} {self.record_id}"


class SnapshotDownload(models.Model):
    """Somebody took a file of a snapshot, whole or from a place on."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="downloads")
    path = models.CharField(_("file"), max_length=200)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    first_byte = models.BigIntegerField(_("first byte"), default=0)
    at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("download of a snapshot")
        verbose_name_plural = _("downloads of snapshots")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["snapshot", "-at"], name="snapshot_download")]

    def __str__(self) -> str:
        return f"{self.snapshot_id} {self.path}"
