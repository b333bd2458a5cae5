"""The review database's rows, by noun: the queue, rules, verdicts, history, contributors, limitations, counts."""

from portal.reviews.models.contributors import Block, ContributorRecord, TextBand
from portal.reviews.models.counts import DailyCount
from portal.reviews.models.history import Event
from portal.reviews.models.limitations import (
    Limitation,
    LimitationReport,
    MeToo,
    Replay,
    ReplayRun,
    ReproductionRun,
)
from portal.reviews.models.notices import NoMail, Notice
from portal.reviews.models.policy import QueuePolicy
from portal.reviews.models.queue import ReviewItem
from portal.reviews.models.saved_views import SavedView
from portal.reviews.models.verdicts import GoldItem, Inquiry, Review

__all__ = [
    "Block",
    "ContributorRecord",
    "DailyCount",
    "Event",
    "GoldItem",
    "Inquiry",
    "Limitation",
    "LimitationReport",
    "MeToo",
    "NoMail",
    "Notice",
    "QueuePolicy",
    "Replay",
    "ReplayRun",
    "ReproductionRun",
    "Review",
    "ReviewItem",
    "SavedView",
    "TextBand",
]
