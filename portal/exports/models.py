"""The exports' tables: held-out prompts and snapshots."""

from portal.exports.held_out_models import HeldOutPrompt, prompt_digest
from portal.exports.snapshot_models import Salting, Snapshot, SnapshotDownload, SnapshotRecord

__all__ = ["HeldOutPrompt", "Salting", "Snapshot", "SnapshotDownload", "SnapshotRecord", "prompt_digest"]
