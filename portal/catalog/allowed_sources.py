"""What may be imported from a page: the operator's settings decide, since a page's reader is not at the machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext_lazy

from portal.catalog.hub_source import HubSource
from portal.catalog.import_source import HUB_PREFIX, PACKAGE_PREFIX, ImportRequest, SourceKind
from portal.catalog.importing import ImportRefused

NO_PATHS: Final = gettext_lazy(
    "Folders and files of this machine are not offered on this page (IMPORT_SOURCES, IMPORT_FOLDER). "
    "Whoever operates it can import them at the machine, with “manage.py import_model PATH”."
)
NOT_THERE: Final = gettext_lazy(
    "The folder that is opened for imports (IMPORT_FOLDER) is not there: "
    "whoever operates this installation can make it."
)
A_PATH: Final = gettext_lazy("This is a path, and no hub's id: choose where it is from above.")
PATHS: Final = frozenset({SourceKind.FOLDER, SourceKind.FILE})
# What nobody means as a hub's id: from the root, the home or here, a Windows path, or a GGUF file.
_PATH: Final = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]|.*\.gguf$", re.IGNORECASE)


def allowed_kinds() -> list[SourceKind]:
    """The kinds of source that a page offers, in the order of IMPORT_SOURCES."""
    kinds = [SourceKind(name) for name in settings.IMPORT_SOURCES]
    return [kind for kind in kinds if kind not in PATHS or settings.IMPORT_FOLDER]


def request_for(kind: SourceKind, text: str) -> str:
    """What somebody typed for a kind of source, so that it is taken for no other kind. Raises ImportRefused."""
    if kind == SourceKind.HUB and _PATH.match(text):
        offered = PATHS.intersection(allowed_kinds())
        raise ImportRefused(str(A_PATH if offered else NO_PATHS))
    if kind == SourceKind.HUB:
        HubSource.of(text.removeprefix(HUB_PREFIX))
        return HUB_PREFIX + text.removeprefix(HUB_PREFIX)
    if kind == SourceKind.PACKAGE:
        return PACKAGE_PREFIX + text.removeprefix(PACKAGE_PREFIX)
    if kind == SourceKind.UPSTREAM:
        if not text.startswith(("http://", "https://")):
            raise ImportRefused("A server's address begins with http:// or https://.")
        return text
    return str(_inside(text))


def checked_request(request: ImportRequest) -> ImportRequest:
    """The same request, held to public hosts. Raises ImportRefused for a source that no page may use (any more)."""
    kind = request.kind
    # A folder that a link has replaced since, and a GGUF file in place of a folder, are looked at as they are now.
    if kind in PATHS:
        request = replace(request, source=str(_inside(request.source)))
    if kind not in allowed_kinds():
        raise ImportRefused(f"The operator of this installation does not allow this kind of source here: {kind.label}.")
    return replace(request, public_only=True)


def _inside(text: str) -> Path:
    """A path below IMPORT_FOLDER. Raises ImportRefused, in the same words whether something is there or not."""
    refusal = ImportRefused("There is no such folder or file below the one that the operator has opened for imports.")
    if not settings.IMPORT_FOLDER or "\x00" in text:
        raise refusal
    root = Path(settings.IMPORT_FOLDER).resolve()
    if not root.is_dir():
        raise ImportRefused(str(NOT_THERE))
    try:
        path = (root / text).resolve()
        if path == root or not path.is_relative_to(root) or not path.exists():
            raise refusal
    except OSError:
        raise refusal from None
    return path
