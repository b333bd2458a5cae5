"""How submissions and votes come under review: by rule; and what a change or a withdrawal does then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from portal.arena.models import Vote
from portal.feedback.models import Submission
from portal.reviews.models import ContributorRecord, Inquiry, QueuePolicy, ReviewItem, TextBand
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import EnteredBy, Subject
from portal.reviews.models.verdicts import Superseded
from portal.reviews.queries.entry import in_sample, is_flagged, item_facts, others_say_otherwise, said
from portal.reviews.queries.policy import current_policy
from portal.reviews.queries.resemblance import find_signs, said_text
from portal.reviews.services.counting import Entry, contributor_of, count_entries, count_given
from portal.reviews.services.settlement import lock_item, resettle
from portal.reviews.settling import ItemState
from portal.reviews.text_similarity import text_bands

# What comes first, before trust moves it by up to 10 places in either direction.
_PRIORITY_OF_ENTRY: Final = {
    EnteredBy.ALL: 0,
    EnteredBy.SAMPLE: 0,
    EnteredBy.DISAGREEMENT: 20,
    EnteredBy.FLAGGED: 30,
}
TRUST_WEIGHT: Final = 20


def enter_queue(subject: Subject) -> ReviewItem | None:
    """Put a new submission or vote under review if a rule says so; None when none does, and it stays as it is.

    Call inside the transaction that stored it, with its answers.
    """
    is_new = isinstance(subject, Vote) or subject.is_first_version
    item, others = _enter(subject, count_given(subject) if is_new else contributor_of(subject))
    if item is not None:
        count_entries(Counter(map(Entry.of, [item, *_bring_in(others)])))
    return item


def _enter(subject: Subject, record: ContributorRecord | None) -> tuple[ReviewItem | None, list[Subject]]:
    """The item that a rule makes, not counted yet, and others who say otherwise and come in with it."""
    policy = current_policy()
    answers = said(subject)
    signs = find_signs(subject, answers, record.given if record is not None else None)
    # Asked for once: it decides whether the subject enters, and who enters with it.
    others = others_say_otherwise(subject, answers) if policy.enter_disagreement else []
    entered_by = _rule_for(policy, subject, answers, bool(signs), bool(others))
    if entered_by is None:
        return None, []
    trust = record.trust if record is not None else 0.5
    item = ReviewItem(
        **_reviewed(subject),
        policy=policy,
        entered_by=entered_by,
        needed=policy.needed_reviews,
        priority=_PRIORITY_OF_ENTRY[entered_by] + round((trust - 0.5) * TRUST_WEIGHT),
        signs=signs,
        is_suspicious=bool(signs),
        **item_facts(subject, answers),
    )
    item.save(force_insert=True)
    _write_bands(item, answers)
    record_event(item, "entered", None, rule=entered_by, policy=policy.version, signs=signs)
    return item, others


def follow_submission(submission: Submission) -> None:
    """The contributor gave, changed, withdrew or gave again: what was said about an older version counts no longer.

    Call inside the transaction that changed it. A withdrawal keeps the verdicts as they are, on a closed item.
    """
    item = None if submission.is_first_version else _locked_item(submission)
    if item is None:
        if not submission.is_withdrawn:
            enter_queue(submission)
        return
    if submission.is_withdrawn:
        _close(item, submission)
        return
    if item.submission_version == submission.version:
        return
    superseded = [each for each in item.reviews.filter(superseded_at=None) if each.supersede(Superseded.EDITED)]
    before = Entry.of(item)
    answers = submission.values()
    item.signs = find_signs(submission, answers)
    item.is_suspicious = bool(item.signs)
    for column, value in item_facts(submission, answers).items():
        setattr(item, column, value)
    item.save(update_fields=["signs", "is_suspicious", *item_facts(submission, answers)])
    _count_elsewhere(before, item)
    item.text_bands.all().delete()
    _write_bands(item, answers)
    record_event(item, "edited", submission.owner, version=submission.version, verdicts_set_aside=len(superseded))
    resettle(item, submission, submission.owner)


def follow_withdrawal(vote: Vote) -> None:
    """The voter took the vote back. Call inside the transaction that did."""
    item = _locked_item(vote)
    if item is not None:
        _close(item, vote)


def answer_inquiry(subject: Subject, inquiry: Inquiry, answer: str) -> bool:
    """The contributor answered: the question is settled and the item waits for reviewers again.

    Call with the contributor's own submission or vote. False when it had been answered, or is not asked any more.
    """
    with transaction.atomic():
        item, locked = lock_item(inquiry.item_id)
        if locked != subject or locked.is_withdrawn or item.state != ItemState.QUESTION:
            return False
        open_one = Inquiry.objects.filter(pk=inquiry.pk, item=item, answered_at=None, review__superseded_at=None)
        if open_one.update(answer=answer, answered_at=timezone.now()) != 1:
            return False
        for review in item.reviews.filter(inquiry__pk=inquiry.pk):
            review.supersede(Superseded.ANSWERED)
        record_event(item, "answered", locked.owner)
        resettle(item, locked, locked.owner)
    return True


def _close(item: ReviewItem, subject: Subject) -> None:
    if item.state == ItemState.WITHDRAWN:
        return
    item.text_bands.all().delete()
    before = Entry.of(item)
    item.thumb = item.language = ""
    item.save(update_fields=["thumb", "language"])
    _count_elsewhere(before, item)
    # An answer to a question is a contributor's words too.
    Inquiry.objects.filter(item=item).update(answer="")
    resettle(item, subject, subject.owner)


def _count_elsewhere(before: Entry, item: ReviewItem) -> None:
    """The item, counted as `before` until now, is counted as it is."""
    steps = Counter({before: -1})
    steps[Entry.of(item)] += 1
    count_entries(steps)


def _locked_item(subject: Subject) -> ReviewItem | None:
    return ReviewItem.objects.select_for_update(of=("self",), no_key=True).filter(**_reviewed(subject)).first()


def _reviewed(subject: Subject) -> dict[str, Subject]:
    """The item's column that says what it is of."""
    return {"vote": subject} if isinstance(subject, Vote) else {"submission": subject}


def _rule_for(
    policy: QueuePolicy, subject: Subject, answers: dict[str, Any], has_signs: bool, is_disputed: bool
) -> EnteredBy | None:
    if policy.enter_flagged and (has_signs or is_flagged(subject, answers)):
        return EnteredBy.FLAGGED
    if is_disputed:
        return EnteredBy.DISAGREEMENT
    if policy.enter_all:
        return EnteredBy.ALL
    if policy.sample_percent and in_sample(subject, policy.sample_percent):
        return EnteredBy.SAMPLE
    return None


def _bring_in(others: list[Subject]) -> Iterator[ReviewItem]:
    """The items of others who have none, and of those who say otherwise than they; they were counted as given then."""
    others = list(others)
    while others:
        other = others.pop()
        # Somebody may bring it in, or its giver withdraw it, at this moment: who holds its row decides.
        rows = type(other)._default_manager.select_for_update(of=("self",), skip_locked=True)  # noqa: SLF001
        fresh = rows.filter(pk=other.pk, withdrawn_at=None).first()
        if fresh is None or ReviewItem.objects.filter(**_reviewed(fresh)).exists():
            continue
        item, more = _enter(fresh, contributor_of(fresh))
        if item is not None:
            others += more
            yield item


def _write_bands(item: ReviewItem, answers: dict[str, Any]) -> None:
    TextBand.objects.bulk_create(TextBand(item=item, value=value) for value in text_bands(said_text(answers)))
