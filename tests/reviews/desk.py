"""A reviewer at work, in one line per step."""

from __future__ import annotations

from typing import Any

from portal.accounts.models import User
from portal.reviews.models import Review, ReviewItem
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.verdicts import Judgement, record_verdict


def give_verdict(reviewer: User, item: ReviewItem, verdict: str = "accept", **more: Any) -> Review:
    """Take this item and judge it."""
    assert claim_item(reviewer, item), f"{reviewer} cannot take {item}"
    item.refresh_from_db()
    if verdict == "reject":
        more = {"reason": "unfounded"} | more
    if verdict == "question":
        more = {"note": "Which answer do you mean?"} | more
    review = record_verdict(reviewer, item.pk, item.claim_number, Judgement(verdict, **more))
    item.refresh_from_db()
    return review


def work(reviewer: User, verdict: str = "accept", **more: Any) -> ReviewItem | None:
    """Judge whatever comes next."""
    item = claim_next(reviewer)
    if item is not None:
        record_verdict(reviewer, item.pk, item.claim_number, Judgement(verdict, **more))
        item.refresh_from_db()
    return item


def item_of(submission: Any) -> ReviewItem:
    return ReviewItem.objects.get(submission=submission)
