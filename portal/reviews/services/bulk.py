"""One verdict, or one measure against abuse, on many items: first what it would do, then doing it, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.feedback.models import Submission
from portal.reviews.models import ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.services.settlement import lock_item, resettle
from portal.reviews.services.verdicts import Judgement, kind_of_next, write_verdict
from portal.reviews.settling import ItemState, LiveVerdict, settle

MOST_ITEMS: Final = 500

DECIDED: Final = _("are decided by it")
WAIT: Final = _("have one verdict more and wait for another reviewer")
DISAGREE: Final = _("then disagree and wait for a third person")
OWN: Final = _("are left out: your own")
JUDGED: Final = _("are left out: you judged them already")
CLOSED: Final = _("are left out: they wait for no verdict")
HELD: Final = _("are left out: somebody is at them right now")
ESCALATED: Final = _("are left out: a maintainer has to decide them")
ASKED: Final = _("have their contributor asked, or go to a maintainer")


@dataclass(slots=True)
class Effect:
    """What a measure would do (or did) to which items: words → item numbers; `done` counts those that it touches."""

    groups: dict[str, list[int]] = field(default_factory=dict)
    done: int = 0

    def add(self, words: Any, item: ReviewItem, *, touches: bool) -> None:
        self.groups.setdefault(str(words), []).append(item.pk)
        self.done += touches


def preview_verdict(reviewer: User, item_ids: Iterable[int], judgement: Judgement) -> Effect:
    """What `judge_many` would do now."""
    effect = Effect()
    items = ReviewItem.objects.filter(pk__in=list(item_ids)[:MOST_ITEMS]).select_related("submission")
    for item in items.prefetch_related("reviews").order_by("pk"):
        words, touches = _consequence(reviewer, item, item.submission, judgement)
        effect.add(words, item, touches=touches)
    return effect


def judge_many(reviewer: User, item_ids: Sequence[int], judgement: Judgement) -> Effect:
    """The same verdict on each item that the reviewer may judge. Raises ValidationError before anything is written."""
    effect = Effect()
    keys = sorted(set(item_ids))[:MOST_ITEMS]
    for item in ReviewItem.objects.filter(pk__in=keys).select_related("submission__questionnaire"):
        judgement.check(item, item.submission)
    for key in keys:
        with transaction.atomic():
            try:
                item, submission = lock_item(key)
            except ReviewItem.DoesNotExist:
                continue
            words, touches = _consequence(reviewer, item, submission, judgement)
            if touches:
                write_verdict(item, submission, reviewer, judgement.check(item, submission), is_bulk=True)
            effect.add(words, item, touches=touches)
    return effect


def quarantine(operator: User, item_ids: Iterable[int], *, release: bool = False) -> int:
    """Take items out of the queue (or let them back in) with everything they have; how many it changed."""
    changed = 0
    for key in sorted(set(item_ids))[:MOST_ITEMS]:
        with transaction.atomic():
            try:
                item, submission = lock_item(key)
            except ReviewItem.DoesNotExist:
                continue
            if submission.is_withdrawn or item.is_quarantined is not release:
                continue
            item.is_quarantined = not release
            record_event(item, "released" if release else "quarantined", operator)
            resettle(item, submission, operator)
            changed += 1
    return changed


def _consequence(
    reviewer: User, item: ReviewItem, submission: Submission, judgement: Judgement
) -> tuple[Any, bool]:
    """What a verdict would make of an item, and whether it would be recorded at all."""
    live = [each for each in item.reviews.all() if each.is_live]
    if submission.owner_id == reviewer.pk:
        return OWN, False
    if any(each.reviewer_id == reviewer.pk for each in live):
        return JUDGED, False
    if not item.is_claimable or submission.is_withdrawn:
        return CLOSED, False
    if item.is_claimed and item.claimed_by_id != reviewer.pk:
        return HELD, False
    if item.needs_maintainer and not reviewer.has_role(Role.MAINTAINER):
        return ESCALATED, False
    counted = [LiveVerdict(each.kind, each.verdict, each.duplicate_of_id) for each in live]
    mine = LiveVerdict(kind_of_next(item, judgement.verdict), judgement.verdict, judgement.duplicate_of)
    settlement = settle([*counted, mine], item.needed)
    match settlement.state:
        case ItemState.DECIDED:
            return DECIDED, True
        case ItemState.WAITING:
            return WAIT, True
        case ItemState.ADJUDICATION if not settlement.needs_maintainer:
            return DISAGREE, True
        case _:
            return ASKED, True
