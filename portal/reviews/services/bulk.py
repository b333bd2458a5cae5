"""One verdict, or one measure against abuse, on many items: first what it would do, then doing it, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.accounts.writing_turns import in_turns
from portal.reviews.models import Review, ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.queries.measuring import shown_to
from portal.reviews.services.settlement import lock_item, resettle
from portal.reviews.services.verdicts import Judgement, kind_of_next, write_verdict
from portal.reviews.settling import ItemState, LiveVerdict, settle

MOST_ITEMS: Final = 500

DECIDED: Final = _("are decided by it")
WAIT: Final = _("have one verdict more and wait for another reviewer")
DISAGREE: Final = _("then disagree and wait for a third person")
SETTLED: Final = _("have all their verdicts then: decided, or for a third person")
OWN: Final = _("are left out: your own")
JUDGED: Final = _("are left out: you judged them already")
CLOSED: Final = _("are left out: they wait for no verdict")
HELD: Final = _("are left out: somebody is at them right now")
OVERTAKEN: Final = _("are left out: what they would repeat changed meanwhile")
ESCALATED: Final = _("are left out: a maintainer has to decide them")
TAKEN_OUT: Final = _("leave the queue until they are let out; their verdicts stay")
LET_OUT: Final = _("come back to where their verdicts put them")
UNCHANGED: Final = _("stay as they are")
ASKED: Final = _("have their contributor asked, or go to a maintainer")


@dataclass(slots=True)
class Effect:
    """What a measure would do (or did) to which items: words → item numbers; `done` counts those that it touches."""

    groups: dict[str, list[int]] = field(default_factory=dict)
    done: int = 0

    def add(self, words: Any, item: ReviewItem, *, touches: bool) -> None:
        self.groups.setdefault(str(words), []).append(item.pk)
        self.done += touches

    def include(self, other: Effect) -> None:
        """What was done to other items by the same measure."""
        for words, numbers in other.groups.items():
            self.groups.setdefault(words, []).extend(numbers)
        self.done += other.done


def preview_verdict(reviewer: User, item_ids: Iterable[int], judgement: Judgement) -> Effect:
    """What `judge_many` would do now."""
    effect = Effect()
    items = ReviewItem.objects.filter(pk__in=list(item_ids)[:MOST_ITEMS]).select_related("submission", "vote")
    for item in shown_to(reviewer, items.prefetch_related("reviews").order_by("pk")):
        words, touches = _consequence(reviewer, item, item.subject, judgement)
        is_blind = item.state != ItemState.ADJUDICATION and bool(_live_reviews(item))
        # Whether they would agree is what the other one said, which is not told before one's own verdict.
        effect.add(SETTLED if touches and is_blind and words in (DECIDED, DISAGREE) else words, item, touches=touches)
    return effect


def check_many(reviewer: User, item_ids: Iterable[int], judgement: Judgement) -> None:
    """Raises ValidationError where the verdict says too little for one of them."""
    keys = sorted(set(item_ids))[:MOST_ITEMS]
    for item in ReviewItem.objects.filter(pk__in=keys).select_related("submission__questionnaire", "vote"):
        judgement.check(reviewer, item, item.subject)


def judge_many(reviewer: User, item_ids: Sequence[int], judgement: Judgement) -> Effect:
    """The same verdict on each item that the reviewer may judge. Raises ValidationError before anything is written."""
    check_many(reviewer, item_ids, judgement)
    effect = Effect()
    for turn in in_turns(sorted(set(item_ids))[:MOST_ITEMS]):
        judge_each(reviewer, turn, judgement, effect)
    return effect


def judge_each(reviewer: User, item_ids: Iterable[int], judgement: Judgement, effect: Effect) -> int:
    """The same verdict, which was checked, on each of these items; tells `effect`, and returns how many got it."""
    before = effect.done
    for key in item_ids:
        with transaction.atomic():
            try:
                item, subject = lock_item(key)
            except ReviewItem.DoesNotExist:
                continue
            [shown] = shown_to(reviewer, [item])
            words, touches = _consequence(reviewer, shown, subject, judgement)
            if touches:
                try:
                    columns = judgement.check(reviewer, item, subject)
                except ValidationError:
                    words, touches = OVERTAKEN, False
                else:
                    write_verdict(item, subject, reviewer, columns, is_bulk=True)
            effect.add(words, item, touches=touches)
    return effect.done - before


def preview_quarantine(item_ids: Iterable[int], *, release: bool = False) -> Effect:
    """What `quarantine` would do now."""
    effect = Effect()
    for item in ReviewItem.objects.filter(pk__in=list(item_ids)[:MOST_ITEMS]).order_by("pk"):
        is_changed = item.state != ItemState.WITHDRAWN and item.is_quarantined is release
        words = (LET_OUT if release else TAKEN_OUT) if is_changed else UNCHANGED
        effect.add(words, item, touches=is_changed)
    return effect


def quarantine(operator: User, item_ids: Iterable[int], *, release: bool = False) -> int:
    """Take items out of the queue (or let them back in) with everything they have; how many it changed."""
    turns = in_turns(sorted(set(item_ids))[:MOST_ITEMS])
    return sum(_quarantine_one(operator, key, release=release) for turn in turns for key in turn)


def _quarantine_one(operator: User, item_id: int, *, release: bool) -> bool:
    with transaction.atomic():
        try:
            item, subject = lock_item(item_id)
        except ReviewItem.DoesNotExist:
            return False
        if subject.is_withdrawn or item.is_quarantined is not release:
            return False
        item.is_quarantined = not release
        record_event(item, "released" if release else "quarantined", operator)
        resettle(item, subject, operator)
    return True


def _consequence(reviewer: User, item: ReviewItem, subject: Subject, judgement: Judgement) -> tuple[Any, bool]:
    """What a verdict would make of an item, by what the reviewer may read of it, and whether it would be recorded."""
    live = _live_reviews(item)
    obstacle = _obstacle(reviewer, item, subject, live)
    if obstacle is not None:
        return obstacle, False
    counted = [LiveVerdict(each.kind, each.verdict, each.duplicate_of_id) for each in live]
    mine = LiveVerdict(kind_of_next(item, judgement.verdict), judgement.verdict, judgement.duplicate_of)
    settlement = settle([*counted, mine], item.needed)
    if settlement.state == ItemState.ADJUDICATION and settlement.needs_maintainer:
        return ASKED, True
    return _BECOMES[settlement.state], True


def _live_reviews(item: ReviewItem) -> list[Review]:
    """The verdicts that count. An item whose verdicts are kept back says that there are none."""
    reviews = item.reviews.all() if item.verdict_count else []
    return [each for each in reviews if each.is_live]


def _obstacle(reviewer: User, item: ReviewItem, subject: Subject, live: Sequence[Review]) -> Any:
    """Why the reviewer cannot judge the item; None when they can."""
    is_theirs_to_decide = not item.needs_maintainer or reviewer.has_role(Role.MAINTAINER)
    obstacles = (
        (OWN, subject.owner_id == reviewer.pk),
        (JUDGED, any(each.reviewer_id == reviewer.pk for each in live)),
        (CLOSED, not item.is_claimable or subject.is_withdrawn),
        (HELD, item.is_claimed and item.claimed_by_id != reviewer.pk),
        (ESCALATED, not is_theirs_to_decide),
    )
    return next((words for words, stands_in_the_way in obstacles if stands_in_the_way), None)


_BECOMES: Final = {
    ItemState.DECIDED: DECIDED,
    ItemState.WAITING: WAIT,
    ItemState.ADJUDICATION: DISAGREE,
    ItemState.QUESTION: ASKED,
}
