"""Which other submissions one resembles, and what looks like abuse about it; each look-up goes by an index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Prefetch, QuerySet

from portal.accounts.models import User
from portal.feedback.models import Answer, Submission
from portal.reviews.models import ReviewItem, TextBand
from portal.reviews.models.queue import Sign, Subject
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.text_similarity import jaccard, shingles, text_bands

FLOOD_WINDOW: Final = timedelta(minutes=10)
FLOOD_PER_PERSON: Final = 20
# A network may hold a school class.
FLOOD_PER_NETWORK: Final = 100
NEAR: Final = 0.7
_CANDIDATES: Final = 30
_SIMILAR_SHOWN: Final = 5


def said_text(answers: Mapping[str, Any]) -> str:
    """What somebody typed themselves, all of it."""
    return "\n".join(value for value in answers.values() if isinstance(value, str) and " " in value)


def find_signs(subject: Subject, answers: Mapping[str, Any], given: int | None = None) -> list[str]:
    """What looks like abuse. Nothing follows from it but a place in the queue and a mark that reviewers see.

    `given` is how much a visitor has given in all, this included, where the caller knows it.
    """
    signs = _signs_of_copying(subject, answers) if isinstance(subject, Submission) else []
    since = subject.created_at - FLOOD_WINDOW
    # What is brought in later is measured by its own time.
    lately = _others(subject).filter(created_at__gte=since, created_at__lte=subject.created_at)
    mine = {"owner_id": subject.owner_id} if subject.owner_id else {"visitor": subject.visitor}
    # An account may have taken over what it gave as a visitor, of which its own count says nothing.
    is_counted = given is not None and not subject.owner_id
    may_flood = any(mine.values()) and (not is_counted or (given or 0) > FLOOD_PER_PERSON)
    if may_flood and lately.filter(**mine)[FLOOD_PER_PERSON - 1 : FLOOD_PER_PERSON].exists():
        signs.append(Sign.FLOOD)
    network = subject.network_digest
    from_there = lately.filter(network_digest=network)
    if network and from_there[FLOOD_PER_NETWORK - 1 : FLOOD_PER_NETWORK].exists():
        signs.append(Sign.NETWORK_FLOOD)
    return [str(sign) for sign in signs]


def _signs_of_copying(submission: Submission, answers: Mapping[str, Any]) -> list[Sign]:
    # Twice, since only the condition of the partial index in its own words makes SQLite use it.
    same = _others(submission).filter(text_digest=submission.text_digest).exclude(text_digest="")
    if submission.text_digest and same.exists():
        return [Sign.COPY]
    is_near = any(likeness >= NEAR for _number, likeness in _near_copies(submission, answers))
    return [Sign.NEAR_COPY] if is_near else []


def similar_items(item: ReviewItem, answers: Mapping[str, Any], reviewer: User) -> list[tuple[ReviewItem, int | None]]:
    """Items that say nearly the same, with how alike in percent; then others about the same variant in the same state.

    At most five; the percentage is None for those that are merely about the same.
    """
    if item.submission is None:
        return [(each, None) for each in _votes_on_same_prompt(item)]
    alike = sorted(_near_copies(item.submission, answers), key=lambda pair: -pair[1])[:_SIMILAR_SHOWN]
    items = {each.pk: each for each in _listed(ReviewItem.objects.filter(pk__in=[number for number, _alike in alike]))}
    found: list[tuple[ReviewItem, int | None]] = [
        (items[number], round(100 * likeness)) for number, likeness in alike if number in items
    ]
    if item.variant_id is not None and len(found) < _SIMILAR_SHOWN:
        known = {item.pk, *items}
        in_state, beside = ItemReader(reviewer).fitting(QueueFilters(variant=item.variant_id, state=item.state))
        most = _SIMILAR_SHOWN + len(known)
        same = [*_listed(beside)[:most], *_listed(in_state)[:most]]
        found += [(each, None) for each in same if each.pk not in known]
    return found[:_SIMILAR_SHOWN]


def _votes_on_same_prompt(item: ReviewItem) -> list[ReviewItem]:
    digest = item.vote.prompt_digest if item.vote is not None else ""
    if not digest:
        return []
    same = ReviewItem.objects.filter(vote__prompt_digest=digest).exclude(pk=item.pk).select_related("vote")
    return list(same.order_by("-id")[:_SIMILAR_SHOWN])


def _others(subject: Subject) -> QuerySet[Any]:
    rows = type(subject)._default_manager.filter(withdrawn_at__isnull=True)  # noqa: SLF001  Django's name
    return rows.exclude(pk=subject.pk).order_by()


def _near_copies(submission: Submission, answers: Mapping[str, Any]) -> list[tuple[int, float]]:
    """Items' numbers with their likeness, which is computed from the texts themselves; the bands only find whose."""
    text = said_text(answers)
    bands = text_bands(text)
    if not bands:
        return []
    sharing = (
        TextBand.objects.filter(value__in=bands)
        .exclude(item__submission=submission)
        .values("item")
        .annotate(shared=Count("id"))
        .order_by("-shared", "-item")
        .values_list("item", flat=True)[:_CANDIDATES]
    )
    # What a text is made of, as in `said_text`: of the kinds of answers, only texts have spaces.
    said = Answer.objects.filter(submission__review_item__in=sharing, text__contains=" ")
    texts: defaultdict[int, list[str]] = defaultdict(list)
    for number, part in said.order_by("question__position", "question").values_list("submission__review_item", "text"):
        texts[number].append(part)
    own = shingles(text)
    pairs = [(number, jaccard(own, shingles("\n".join(parts)))) for number, parts in texts.items()]
    return [(number, likeness) for number, likeness in pairs if likeness >= 0.3]


def _listed(items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
    answers = Prefetch("submission__answers", Answer.objects.select_related("question"))
    return items.select_related("submission__generation").prefetch_related(answers)
