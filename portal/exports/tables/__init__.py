"""The export tables: each a pure row builder with a documented schema, and how its records are read."""

from portal.exports.tables.answers import ANSWERS
from portal.exports.tables.comparisons import COMPARISONS
from portal.exports.tables.conversations import CONVERSATIONS
from portal.exports.tables.feedback import FEEDBACK
from portal.exports.tables.reviews import REVIEWS
from portal.exports.tables.submissions import SUBMISSIONS
from portal.exports.tables.table import ExportTable, Plan
from portal.exports.tables.training import DPO, KTO, REWARD, SFT
from portal.exports.tables.wide import SUBMISSIONS_WIDE

TABLES: dict[str, ExportTable] = {
    table.name: table
    for table in (
        FEEDBACK,
        SUBMISSIONS,
        SUBMISSIONS_WIDE,
        ANSWERS,
        COMPARISONS,
        REVIEWS,
        CONVERSATIONS,
        SFT,
        DPO,
        KTO,
        REWARD,
    )
}

__all__ = ["TABLES", "ExportTable", "Plan"]
