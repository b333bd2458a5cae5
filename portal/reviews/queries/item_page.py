"""What the page of one item shows to one reviewer, and what it keeps from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from portal.accounts.models import User
from portal.feedback import token_choice
from portal.feedback.models import Submission
from portal.playground.models import Generation
from portal.reviews.models import ContributorRecord, Event, Inquiry, Review, ReviewItem
from portal.reviews.models.contributors import COLUMN_OF_OUTCOME
from portal.reviews.models.queue import Sign
from portal.reviews.models.verdicts import Superseded
from portal.reviews.queries.entry import said
from portal.reviews.queries.items import hides_verdicts
from portal.reviews.queries.measuring import shown_events, shown_to, shown_verdicts
from portal.reviews.queries.policy import Shortage, shortage_for
from portal.reviews.queries.resemblance import similar_items
from portal.reviews.queries.stalemates import Stalemate, stalemate
from portal.reviews.queries.standing import why_not_taken
from portal.reviews.queries.told_history import HistoryEntry, told_history
from portal.reviews.queries.vote_sides import Side, sides_of
from portal.reviews.settling import ItemState, Verdict

_HISTORY_SHOWN: Final = 30
_JUST_GIVEN: Final = timedelta(minutes=30)
# What would tell one reviewer of another's verdict.
_TELLING: Final = ("verdict", "state", "undone", "gold")


@dataclass(frozen=True, slots=True)
class ItemPage:
    """`item` is what they may read of it. `is_blind` keeps other people's verdicts off the page.

    `last` is the reviewer's own newest one, for undoing; `undone` the one on this item that they took back and gave no
    other for since. `sides` are a vote's two conversations; whose they are is in them once the reviewer has judged, or
    nobody has to.
    """

    item: ReviewItem
    runs: list[Generation]
    sides: list[Side]
    is_held: bool
    is_own: bool
    why_not_taken: str
    is_blind: bool
    seconds_left: int
    reviews: list[Review]
    inquiries: list[Inquiry]
    similar: list[tuple[ReviewItem, int | None]]
    record: ContributorRecord | None
    signs: list[str]
    history: list[HistoryEntry]
    last: Review | None
    undone: Review | None
    shortage: Shortage | None
    stalemate: Stalemate | None


def item_page(stored: ReviewItem, reviewer: User) -> ItemPage:
    [item] = shown_to(reviewer, [stored])
    is_held = item.is_held_by(reviewer)
    reviews = shown_verdicts(reviewer, item.reviews.select_related("reviewer", "duplicate_of"))
    is_blind = hides_verdicts(item)
    events = Event.objects.filter(target="reviews.reviewitem", target_id=str(item.pk))
    if is_blind:
        events = events.exclude(action__in=_TELLING)
        reviews = [each for each in reviews if each.reviewer_id == reviewer.pk]
    has_judged = any(each.is_live and each.reviewer_id == reviewer.pk for each in reviews)
    is_named = has_judged or not item.is_claimable
    left = (item.claim_expires_at - timezone.now()).total_seconds() if item.claim_expires_at else 0
    return ItemPage(
        item=item,
        runs=runs_of(item.submission) if item.submission is not None else [],
        sides=sides_of(item.vote, is_named=is_named) if item.vote is not None else [],
        is_held=is_held,
        is_own=item.subject.owner_id == reviewer.pk,
        why_not_taken=why_not_taken(item, reviewer, has_judged=has_judged),
        is_blind=is_blind,
        seconds_left=max(0, int(left)) if is_held else 0,
        reviews=reviews,
        inquiries=[each for each in item.inquiries.all() if each.answered_at is not None or not is_blind],
        similar=similar_items(item, said(item.subject), reviewer),
        record=_shown_record(stored, item),
        signs=[str(Sign(sign).label) for sign in item.signs if sign in Sign.values],
        history=told_history(shown_events(reviewer, events[:_HISTORY_SHOWN])),
        last=last_verdict(reviewer),
        undone=_undone(item, [each for each in reviews if each.reviewer_id == reviewer.pk]),
        shortage=shortage_for(item),
        stalemate=stalemate(ReviewItem.objects.filter(pk=item.pk)) if item.state == ItemState.ADJUDICATION else None,
    )


def runs_of(submission: Submission) -> list[Generation]:
    """What was judged: one answer, behind it the one that it was weighed against; a comparison's two; or none."""
    if submission.comparison is not None:
        return [submission.comparison.generation_a, submission.comparison.generation_b]
    if submission.generation is None:
        return []
    is_choice = submission.questionnaire_slug == token_choice.SLUG
    original = submission.generation.branched_from if is_choice else None
    return [submission.generation] if original is None else [submission.generation, original]


def contributor_record(item: ReviewItem) -> ContributorRecord | None:
    subject = item.subject
    if subject.owner_id is not None:
        return ContributorRecord.objects.filter(owner_id=subject.owner_id).first()
    return ContributorRecord.objects.filter(visitor=subject.visitor).first() if subject.visitor else None


def _shown_record(stored: ReviewItem, shown: ReviewItem) -> ContributorRecord | None:
    """Without this item's own outcome where that is kept back; a copy that is never to be saved, as `shown` is."""
    record = contributor_record(stored)
    if record is not None and stored.outcome != shown.outcome:
        name = COLUMN_OF_OUTCOME[Verdict(stored.outcome)]
        setattr(record, name, getattr(record, name) - 1)
    return record


def _undone(item: ReviewItem, own: list[Review]) -> Review | None:
    """The newest of one's `own` verdicts on the item, if one undid it and it was on what the item says now."""
    newest = own[-1] if own else None
    if newest is None or newest.superseded_by != Superseded.UNDONE:
        return None
    return newest if newest.submission_version == item.submission_version else None


def last_verdict(reviewer: User) -> Review | None:
    """The reviewer's newest verdict, if it is fresh and counts."""
    newest = Review.objects.filter(reviewer=reviewer, created_at__gt=timezone.now() - _JUST_GIVEN)
    review = newest.select_related("item").order_by("-created_at", "-id").first()
    return review if review is not None and review.is_live else None
