"""Where the review of something that a person gave stands: of a vote, and above the arena of a submission."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_REASON_CHARACTERS: Final = 500


class ReviewState(models.TextChoices):
    """What reviewers made of it so far; the reviews app alone moves it."""

    UNREVIEWED = "unreviewed", _("Not reviewed yet")
    IN_REVIEW = "in_review", _("In review")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")
    DUPLICATE = "duplicate", _("Duplicate")
    SPAM = "spam", _("Spam")
    NEEDS_INFORMATION = "needs_information", _("Needs information from you")
    ESCALATED = "escalated", _("Looked at again")


# Kept, and counted nowhere.
SET_ASIDE: Final = (ReviewState.REJECTED, ReviewState.DUPLICATE, ReviewState.SPAM)
