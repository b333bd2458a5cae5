"""What layers above know of somebody's submissions, for the contributions page: which snapshot, limitation or fix.

A layer registers a function when its app is ready; it is asked once per page for all the submissions on it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class ContributionNote:
    """One sentence about a submission, and where to read more. `keeps_copy`: what it is in outlives a withdrawal."""

    text: str | Promise
    url: str = ""
    keeps_copy: bool = False


def keeps_copy(notes: Iterable[ContributionNote]) -> bool:
    """Whether files that were given out have it, and keep it when it is withdrawn."""
    return any(note.keeps_copy for note in notes)


Provider = Callable[[Collection[uuid.UUID]], Mapping[uuid.UUID, Iterable[ContributionNote]]]
_PROVIDERS: Final[dict[str, Provider]] = {}


def register_contribution_notes(name: str, provider: Provider) -> None:
    """`name` makes a second registration replace the first."""
    _PROVIDERS[name] = provider


def contribution_notes(submissions: Collection[uuid.UUID]) -> dict[uuid.UUID, list[ContributionNote]]:
    """Everything that is known of these submissions, in the order of the providers' names."""
    notes: dict[uuid.UUID, list[ContributionNote]] = {}
    if submissions:
        for name in sorted(_PROVIDERS):
            for submission, said in _PROVIDERS[name](submissions).items():
                notes.setdefault(submission, []).extend(said)
    return notes
