"""Asks for imports from a page: checked, kept as a row, and a worker woken once the row is there."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from portal.accounts.models import User
from portal.catalog.allowed_sources import NO_PATHS, PATHS, allowed_kinds, request_for
from portal.catalog.import_source import ImportRequest, SourceKind
from portal.catalog.importing import CardChoice, ImportRefused
from portal.catalog.job_dispatch import dispatch_soon
from portal.catalog.job_models import ACTIVE, Import

MAX_SOURCE_CHARACTERS: Final = 500


def start_import(
    requested_by: User,
    *,
    kind: SourceKind,
    source: str,
    card: str = "",
    base: str = "",
    file: str = "",
    model: str = "",
    is_published: bool = True,
) -> tuple[Import, bool]:
    """Ask for an import; the one that is under way for the same source is returned instead of a second.

    Raises ValidationError({"source": …}) or ({"card": …}); both change nothing.
    """
    if kind not in allowed_kinds():
        refusal = str(NO_PATHS) if kind in PATHS else f"This kind of source is not allowed here: {kind.label}."
        raise ValidationError({"source": refusal})
    try:
        source = request_for(kind, source.strip())
    except ImportRefused as error:
        raise ValidationError({"source": str(error)}) from error
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ValidationError({"source": f"At most {MAX_SOURCE_CHARACTERS} characters are allowed."})
    try:
        if card:
            CardChoice.of(card)
    except ImportRefused as error:
        raise ValidationError({"card": str(error)}) from error
    options = {"card": card, "base": base, "file": file, "model": model}
    kept: dict[str, str | bool] = {name: value for name, value in options.items() if value}
    if not is_published:
        kept["is_published"] = False
    ImportRequest(source=source, **kept)  # type: ignore[arg-type]  # what is kept now is what is read back later
    try:
        with transaction.atomic():
            job = Import.objects.create(source=source, options=kept, requested_by=requested_by)
            dispatch_soon(job)
    except IntegrityError:
        return Import.objects.get(source=source, state__in=ACTIVE), False
    return job, True
