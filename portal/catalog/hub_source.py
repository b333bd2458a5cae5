"""What is wanted of a hub. Apart from what speaks to one, whose library takes half a second to import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from portal.catalog.importing import ImportRefused

HUB_ID: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]{1,200}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HubSource:
    """What is wanted of a hub: a repository, a revision of it, and of GGUF repositories one file."""

    repo_id: str
    revision: str
    file: str = ""

    @classmethod
    def of(cls, text: str, file: str = "") -> HubSource:
        """From org/name or org/name@revision. Raises ImportRefused for anything else."""
        match = HUB_ID.fullmatch(text)
        if match is None or ".." in text or "--" in match["name"]:
            raise ImportRefused(f"{text} is no hub id; it must be like org/name or org/name@revision.")
        return cls(match["name"], match["revision"] or "main", file)
