"""Builds a snapshot in a worker: its tables, what stands beside them, and their way into the storage."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

from django.conf import settings
from django.core.files import File
from django.utils import translation

from portal import __version__
from portal.catalog.job_models import JobState
from portal.catalog.job_run import LEASE, JobFailed, JobStopped
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.formats import FORMATS, ExportFormat
from portal.exports.models import NumberTaking, Salting, Snapshot, Stage
from portal.exports.redaction import redacted
from portal.exports.rows import iso_utc
from portal.exports.snapshot_documents import (
    FileFacts,
    Release,
    TableFacts,
    checksums,
    croissant,
    dataset_card,
    licence_text,
    manifest,
)
from portal.exports.snapshot_records import changes, difference, keep_records
from portal.exports.snapshot_storage import remove_folder, snapshot_storage
from portal.exports.tables import TABLES
from portal.private_folder import make_private_folder

Report = Callable[[str, int, int], None]
"""Called with the stage, what is done of it and what there is to do. Raises JobStopped when nobody wants it."""

DATA_FORMATS: Final = (FORMATS["parquet"], FORMATS["jsonl"])
MANIFEST: Final = "manifest.json"
CHANGELOG: Final = "changelog.jsonl"
_READ_BYTES: Final = 1_048_576
_FOLDER_PREFIX: Final = ".snapshot-"
# How often one that waits for another looks.
_TURN_S: Final = 0.5


def build(snapshot: Snapshot, report: Report) -> dict[str, Any]:
    """The columns of the finished snapshot. Raises JobFailed with the sentence for who asked, and JobStopped."""
    make_private_folder(settings.STEELYARD_HOME)
    _remove_abandoned()
    # The files are the same whoever's worker writes them.
    with (
        tempfile.TemporaryDirectory(dir=settings.STEELYARD_HOME, prefix=_prefix_of(snapshot)) as name,
        translation.override("en"),
    ):
        folder = Path(name)
        # An attempt that was lost may have noted some.
        snapshot.records.all().delete()
        licences: Counter[str] = Counter()
        tables = {table: _write_table(snapshot, table, folder, licences, report) for table in snapshot.tables}
        number = _take_number(snapshot, report)
        earlier = Snapshot.objects.filter(state=JobState.SUCCEEDED, number__lt=number).order_by("-number").first()
        report(Stage.COMPARING, 0, 0)
        _write_changelog(earlier, snapshot, folder)
        release = Release(
            number=number,
            title=snapshot.title,
            note=snapshot.note,
            as_of=iso_utc(snapshot.as_of),
            criteria=snapshot.criteria,
            tables=tables,
            salting=snapshot.salting,
            redacts=snapshot.redacts,
            licences=tuple(sorted(licences)),
            code_version=__version__,
            previous=earlier.number if earlier is not None else None,
            changes=asdict(difference(earlier, snapshot))
            if earlier is not None
            else {"added": snapshot.records.count()},
            files=_facts(folder, tables),
        )
        described = _write_documents(release, folder)
        _store(snapshot, folder, report)
    return {"manifest": described, "previous": earlier}


def _prefix_of(snapshot: Snapshot) -> str:
    """Names an attempt's folder, so that it can be told whose it was when its worker was killed."""
    return f"{_FOLDER_PREFIX}{snapshot.pk}-{snapshot.attempt}-"


def _remove_abandoned() -> None:
    """Remove what workers that were killed left here: rows that nobody publishes, and whole disks of them."""
    found = list(settings.STEELYARD_HOME.glob(f"{_FOLDER_PREFIX}*"))
    # Asked afterwards: who made one of these claimed its snapshot before.
    under_way = tuple(map(_prefix_of, Snapshot.objects.filter(state=JobState.RUNNING)))
    for left in found:
        if not left.name.startswith(under_way):
            shutil.rmtree(left, ignore_errors=True)


def _write_table(snapshot: Snapshot, name: str, folder: Path, licences: Counter[str], report: Report) -> TableFacts:
    """Write the table in each format in one reading, and note its records."""
    table = TABLES[name]
    criteria = Criteria.from_texts({**snapshot.criteria, "until": iso_utc(snapshot.as_of)})
    salt = snapshot.salt if snapshot.salting == Salting.OWN else settings.EXPORT_SALT
    try:
        # Of the filters, those that the table knows: one selection serves tables of several kinds.
        plan = table.plan(criteria.only(table.filters), salt.encode())
    except InvalidCriterion as error:
        raise JobFailed(f"{name}: {error.limit}") from error
    (folder / "data").mkdir(exist_ok=True)
    rows = 0
    expected = plan.expected() if plan.expected is not None else 0
    with _Files(folder, name, [(form, plan.schema_for(form)) for form in DATA_FORMATS]) as files:
        for chunk in plan.chunks:
            report(Stage.of_table(name), rows, expected)
            keep_records(snapshot, {record for row in chunk for record in table.records_of(row)})
            licences.update(row["licence"] for row in chunk if row.get("licence"))
            written = [redacted(row, plan.schema) for row in chunk] if snapshot.redacts else chunk
            flat = [plan.flatten(row) for row in written]
            files.write(
                {form.name: flat if plan.schema_for(form) is not plan.schema else written for form in DATA_FORMATS}
            )
            rows += len(chunk)
    flat_schema = plan.schema_for(DATA_FORMATS[0])
    return TableFacts(str(table.title), str(table.summary), rows, plan.schema, flat_schema)


class _Files:
    """One table's files, written side by side."""

    def __init__(self, folder: Path, table: str, forms: list[tuple[ExportFormat, Any]]) -> None:
        self._encoders = {form.name: form.encoder(schema) for form, schema in forms}
        self._files = {form.name: (folder / "data" / f"{table}.{form.name}").open("wb") for form, _schema in forms}

    def __enter__(self) -> Self:
        for name, encoder in self._encoders.items():
            self._files[name].write(encoder.begin())
        return self

    def write(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        for name, encoder in self._encoders.items():
            self._files[name].write(encoder.encode(rows[name]))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        for name, file in self._files.items():
            with file:
                if error is None:
                    file.write(self._encoders[name].end())


def _take_number(snapshot: Snapshot, report: Report) -> int:
    """The snapshot's number, held from now on; while another one is completed, this waits. Raises JobStopped."""
    while (taking := snapshot.take_number()) is NumberTaking.OTHERS:
        report(Stage.WAITING, 0, 0)
        time.sleep(_TURN_S)
    if taking is NumberTaking.LOST:
        raise JobStopped
    assert snapshot.number is not None
    return snapshot.number


def _write_changelog(earlier: Snapshot | None, snapshot: Snapshot, folder: Path) -> None:
    with (folder / CHANGELOG).open("w", encoding="utf-8") as file:
        for chunk in changes(earlier, snapshot):
            file.writelines(json.dumps(change) + "\n" for change in chunk)


def _write_documents(release: Release, folder: Path) -> dict[str, Any]:
    """Write what describes the data, each with its digest; the manifest comes last and is returned."""
    texts = {
        "README.md": dataset_card(release),
        "LICENSE": licence_text(release),
        "croissant.json": json.dumps(croissant(release), indent=2, ensure_ascii=False) + "\n",
    }
    files = dict(release.files)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        files[name] = _file_facts(folder / name)
    (folder / "SHA256SUMS").write_text(checksums(files), encoding="utf-8")
    files["SHA256SUMS"] = _file_facts(folder / "SHA256SUMS")
    described = manifest(Release(**{**{name: getattr(release, name) for name in Release.__slots__}, "files": files}))
    (folder / MANIFEST).write_text(manifest_text(described), encoding="utf-8")
    return described


def manifest_text(described: dict[str, Any]) -> str:
    """The manifest as its file has it."""
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _facts(folder: Path, tables: dict[str, TableFacts]) -> dict[str, FileFacts]:
    return {str(path.relative_to(folder)): _file_facts(path, tables) for path in _files_in(folder)}


def _file_facts(path: Path, tables: dict[str, TableFacts] | None = None) -> FileFacts:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    table = (tables or {}).get(path.stem) if path.parent.name == "data" else None
    return FileFacts(path.stat().st_size, digest.hexdigest(), None if table is None else table.rows)


def _files_in(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _store(snapshot: Snapshot, folder: Path, report: Report) -> None:
    """Copy every file into the storage, in the place of what an attempt that failed may have left under this number."""
    storage = snapshot_storage()
    report(Stage.STORING, 0, 0)
    _keep_number(snapshot)
    remove_folder(storage, snapshot.folder)
    paths = list(_files_in(folder))
    total = sum(path.stat().st_size for path in paths)
    done = 0
    for path in paths:
        report(Stage.STORING, done, total)
        _keep_number(snapshot)
        name = snapshot.stored_name(str(path.relative_to(folder)))
        with path.open("rb") as file:
            stored = storage.save(name, File(file))
        if stored != name:
            raise JobFailed(f"The storage kept {name} under another name, {stored}: something else is writing there.")
        done += path.stat().st_size


def _keep_number(snapshot: Snapshot) -> None:
    """Hold the number for one lease more, before its folder is touched. Raises JobStopped when it is lost.

    The lease's own thread hears of a loss late: the number, and the folder with it, may be another snapshot's by then,
    and that one published. An attempt that still runs has the number that it took.
    """
    if not snapshot.renew(LEASE):
        raise JobStopped
