"""Where the files behind a variant lie on this machine, beyond the folder that runs."""

from __future__ import annotations

from pathlib import Path

from portal.catalog.models import Variant
from portal.catalog.seed import seeded_origin


def origin_file(variant: Variant) -> Path | None:
    """The GGUF file that the weights were converted from: kept beside them, or in the package that the seed names."""
    folder, origin = variant.folder, variant.facts.get("origin")
    name = origin.get("source") if isinstance(origin, dict) else None
    if folder is None or not isinstance(name, str) or Path(name).name != name:
        return None
    beside = folder / name
    return beside if beside.is_file() else seeded_origin(variant)
