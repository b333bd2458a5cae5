"""Where snapshots are kept, and what is said when it cannot be reached."""

from __future__ import annotations

from django.core.files.storage import Storage, storages


class StorageUnavailable(OSError):
    """The storage does not answer, refuses, or has lost a file: for the operator to mend, and to be tried again."""


def snapshot_storage() -> Storage:
    """STORAGES["snapshots"]."""
    return storages["snapshots"]


def remove_folder(storage: Storage, folder: str) -> None:
    """Remove every file below `folder`; none is there yet where nothing was stored."""
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        storage.delete(f"{folder}/{name}")
    for name in folders:
        remove_folder(storage, f"{folder}/{name}")
