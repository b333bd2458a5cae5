"""Carries an asked-for import out, in a worker: its source checked again, then brought in like the command does."""

from __future__ import annotations

from typing import Any

from portal.catalog.allowed_sources import checked_request
from portal.catalog.import_source import ImportRequest, import_source
from portal.catalog.importing import ImportRefused
from portal.catalog.job_models import Import
from portal.catalog.job_run import JobFailed
from portal.catalog.weight_shelf import Progress


def carry_out(job: Import, report: Progress) -> dict[str, Any]:
    """The columns of the finished import. Raises JobFailed with the sentence for who asked."""
    request = ImportRequest(source=job.source, **job.options)
    try:
        imported = import_source(checked_request(request), report)
    except ImportRefused as error:
        raise JobFailed(str(error)) from error
    return {
        "variant": imported.variant,
        "created_variant": imported.created,
        "left_out": list(imported.left_out)[:200],
    }
