"""The exports' own tables: held-out prompts, snapshots, and what moved."""

from portal.exports.change_models import Change, ChangeKind, RecordKind
from portal.exports.held_out_models import HeldOutPrompt, prompt_digest
from portal.exports.snapshot_models import NumberTaking, Salting, Snapshot, SnapshotDownload, SnapshotRecord, Stage

__all__ = [
    "Change",
    "ChangeKind",
    "HeldOutPrompt",
    "NumberTaking",
    "RecordKind",
    "Salting",
    "Snapshot",
    "SnapshotDownload",
    "SnapshotRecord",
    "Stage",
    "prompt_digest",
]
