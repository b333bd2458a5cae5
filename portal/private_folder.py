"""The installation's own folders, which nobody else who has an account on this machine may enter."""

from __future__ import annotations

from pathlib import Path


def make_private_folder(path: Path) -> None:
    """Make it, its user's alone, and what is missing above it; one that is there stays as it is. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
