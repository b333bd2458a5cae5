"""How submissions come under review: by rule or by hand; and what a change or a withdrawal does to their item."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.accounts.models import User
from portal.feedback import answer_quality
from portal.feedback.models import Submission
from portal.reviews.models import Inquiry, QueuePolicy, ReviewItem, TextBand
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import EnteredBy, Superseded
from portal.reviews.queries.policy import current_policy
from portal.reviews.queries.resemblance import find_signs, said_text
from portal.reviews.services.counting import count_entry, count_given
from portal.reviews.services.settlement import resettle
from portal.reviews.settling import ItemState
from portal.reviews.text_similarity import text_bands

# What comes first, before trust moves it by up to 10 places in either direction.
_PRIORITY_OF_ENTRY: Final = {
    EnteredBy.ALL: 0,
    EnteredBy.SAMPLE: 0,
    EnteredBy.DISAGREEMENT: 20,
    EnteredBy.FLAGGED: 30,
    EnteredBy.HAND: 50,
}
TRUST_WEIGHT: Final = 20
# Questionnaires that report something; what they say is flagged whatever their answers.
REPORTS: Final = frozenset({"harm-report", "factual-error", "bias-report"})
_SAMPLE_RESOLUTION: Final = 10_000


class AlreadyInQueue(Exception):
    """The submission is under review."""


def enter_queue(submission: Submission, *, by_hand: bool = False, actor: User | None = None) -> ReviewItem | None:
    """Put a new submission under review if a rule says so; None when none does, and it stays as it is.

    Call inside the transaction that stored it, with its answers. Raises AlreadyInQueue.
    """
    policy = current_policy()
    answers = submission.values()
    signs = find_signs(submission, answers)
    entered_by = EnteredBy.HAND if by_hand else _rule_for(policy, submission, answers, bool(signs))
    record = None if by_hand else count_given(submission)
    if entered_by is None:
        return None
    trust = record.trust if record is not None else 0.5
    item = ReviewItem(
        submission=submission,
        policy=policy,
        entered_by=entered_by,
        needed=policy.needed_reviews,
        priority=_PRIORITY_OF_ENTRY[entered_by] + round((trust - 0.5) * TRUST_WEIGHT),
        signs=signs,
        is_suspicious=bool(signs),
        **item_facts(submission, answers),
    )
    try:
        with transaction.atomic():
            item.save(force_insert=True)
    except IntegrityError as error:
        raise AlreadyInQueue from error
    _write_bands(item, answers)
    count_entry(item)
    record_event(item, "entered", actor, rule=entered_by, policy=policy.version, signs=signs)
    if not by_hand and policy.enter_disagreement:
        _bring_in_the_other_side(submission, answers)
    return item


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
        if item.state != ItemState.WITHDRAWN:
            item.text_bands.all().delete()
            item.thumb = item.language = ""
            item.save(update_fields=["thumb", "language"])
            # An answer to a question is a contributor's words too.
            Inquiry.objects.filter(item=item).update(answer="")
            resettle(item, submission, submission.owner)
        return
    if item.submission_version == submission.version:
        return
    superseded = [each for each in item.reviews.filter(superseded_at=None) if each.supersede(Superseded.EDITED)]
    answers = submission.values()
    item.signs = find_signs(submission, answers)
    item.is_suspicious = bool(item.signs)
    for column, value in item_facts(submission, answers).items():
        setattr(item, column, value)
    item.save(update_fields=["signs", "is_suspicious", *item_facts(submission, answers)])
    item.text_bands.all().delete()
    _write_bands(item, answers)
    record_event(item, "edited", submission.owner, version=submission.version, verdicts_set_aside=len(superseded))
    resettle(item, submission, submission.owner)


def answer_inquiry(submission: Submission, inquiry: Inquiry, answer: str) -> bool:
    """The contributor answered: the question is settled and the item waits for reviewers again.

    Call with the contributor's own submission. False when it had been answered, or is not asked any more.
    """
    with transaction.atomic():
        submission = Submission.objects.select_for_update(of=("self",)).get(pk=submission.pk)
        item = ReviewItem.objects.select_for_update(of=("self",)).get(submission=submission)
        if submission.is_withdrawn or item.state != ItemState.QUESTION:
            return False
        open_one = Inquiry.objects.filter(pk=inquiry.pk, item=item, answered_at=None, review__superseded_at=None)
        if open_one.update(answer=answer, answered_at=timezone.now()) != 1:
            return False
        for review in item.reviews.filter(inquiry__pk=inquiry.pk):
            review.supersede(Superseded.ANSWERED)
        record_event(item, "answered", submission.owner)
        resettle(item, submission, submission.owner)
    return True


def _locked_item(submission: Submission) -> ReviewItem | None:
    return ReviewItem.objects.select_for_update(of=("self",)).filter(submission=submission).first()


def item_facts(submission: Submission, answers: dict[str, Any]) -> dict[str, Any]:
    """What an item copies from its submission."""
    thumb = answers.get(answer_quality.THUMB_KEY, "")
    return {
        "submission_version": submission.version,
        "target_kind": submission.target,
        "card_id": submission.card_id,
        "variant_id": submission.variant_id,
        "campaign_id": submission.campaign_id,
        "questionnaire": submission.questionnaire_slug,
        "language": submission.language,
        "thumb": thumb if thumb in {answer_quality.UP, answer_quality.DOWN} else "",
    }


def in_sample(submission: Submission, percent: Decimal) -> bool:
    """Drawn by the submission's own id: the same in every process, and nobody can try again."""
    digest = hashlib.blake2b(submission.pk.bytes, digest_size=8).digest()
    return int.from_bytes(digest) % _SAMPLE_RESOLUTION < percent * (_SAMPLE_RESOLUTION // 100)


def is_flagged(submission: Submission, answers: dict[str, Any]) -> bool:
    """Somebody says that something is wrong."""
    is_bad = answers.get(answer_quality.THUMB_KEY) == answer_quality.DOWN
    return is_bad or submission.questionnaire_slug in REPORTS or any(key in answers for key in ("correction", "spans"))


def _rule_for(
    policy: QueuePolicy, submission: Submission, answers: dict[str, Any], has_signs: bool
) -> EnteredBy | None:
    if policy.enter_flagged and (has_signs or is_flagged(submission, answers)):
        return EnteredBy.FLAGGED
    if policy.enter_disagreement and _others_say_otherwise(submission, answers):
        return EnteredBy.DISAGREEMENT
    if policy.enter_all:
        return EnteredBy.ALL
    if policy.sample_percent and in_sample(submission, policy.sample_percent):
        return EnteredBy.SAMPLE
    return None


def _others_say_otherwise(submission: Submission, answers: dict[str, Any]) -> list[Submission]:
    """Live judgements of the same answer with the other thumb."""
    thumb = answers.get(answer_quality.THUMB_KEY)
    if submission.generation_id is None or thumb not in {answer_quality.UP, answer_quality.DOWN}:
        return []
    other = answer_quality.DOWN if thumb == answer_quality.UP else answer_quality.UP
    # By the run's few submissions: joined to their answers, a database may read everybody's thumbs instead.
    on_same_answer = Submission.objects.filter(generation_id=submission.generation_id, withdrawn_at__isnull=True)
    others = on_same_answer.exclude(pk=submission.pk).order_by()
    return [each for each in others if each.values().get(answer_quality.THUMB_KEY) == other]


def _bring_in_the_other_side(submission: Submission, answers: dict[str, Any]) -> None:
    for other in _others_say_otherwise(submission, answers):
        if not ReviewItem.objects.filter(submission=other).exists():
            enter_queue(other)


def _write_bands(item: ReviewItem, answers: dict[str, Any]) -> None:
    TextBand.objects.bulk_create(TextBand(item=item, value=value) for value in text_bands(said_text(answers)))
