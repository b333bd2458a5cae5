"""Words and numbers of the pages about work on weights: imports, tensors' values, differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.catalog.charts import percent, short
from portal.catalog.import_source import HUB_PREFIX, ImportRequest
from portal.catalog.job_models import Import

register = template.Library()

NOTHING: Final = "\N{EN DASH}"
STAGES: Final[Mapping[str, Promise]] = {
    "downloading": _("Downloading"),
    "copying": _("Copying and checking"),
    "reading": _("Reading"),
    "converting": _("Unpacking"),
    "comparing": _("Comparing"),
    "measuring": _("Measuring"),
}


@register.filter
def stage_label(stage: str) -> str:
    """What a worker is doing, in the reader's language."""
    return str(STAGES.get(stage, stage))


@register.filter
def digits(value: Any) -> str:
    """A number with four significant digits; a dash where there is none."""
    return short(value) if isinstance(value, int | float) else NOTHING


@register.filter
def percentage(value: Any) -> str:
    """A share in percent; a dash where there is none."""
    return percent(value) if isinstance(value, int | float) else NOTHING


@register.filter
def unlocalized(value: Any) -> str:
    """A number as HTML's attributes want it."""
    return str(value)


@register.simple_tag
def import_query(job: Import) -> str:
    """The query that fills the import's form in as it was."""
    request = ImportRequest(source=job.source)
    source = job.source.removeprefix(HUB_PREFIX)
    return urlencode({"kind": request.kind.value, "source": source, **job.options})
