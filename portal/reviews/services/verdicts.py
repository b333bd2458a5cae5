"""Verdicts: given under a claim, undone, decided by a third person; never lost, never counted twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.models import Vote
from portal.feedback.answer_rules import validate_answers
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.reviews.models import GoldItem, Inquiry, Review, ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.models.verdicts import Superseded
from portal.reviews.queries.measuring import shown_to
from portal.reviews.services.settlement import lock_item, resettle
from portal.reviews.settling import ItemState, Kind, Reason, Verdict

MAX_NOTE_CHARACTERS: Final = 2_000
LABELS: Final = ("harm", "factual-error", "bias", "refusal", "language", "format", "good-example", "private-data")
UNDO_WITHIN: Final = timedelta(hours=24)


_ANSWERED_BY_REVIEWERS: Final = frozenset(
    {
        QuestionKind.THUMB,
        QuestionKind.YES_NO,
        QuestionKind.RATING,
        QuestionKind.CHOICE,
        QuestionKind.CHOICES,
        QuestionKind.TEXT,
    }
)


class ClaimLost(Exception):
    """The item is not the reviewer's to judge any more, or never was; `str()` says why."""


class UndoRefused(Exception):
    """The verdict cannot be taken back any more; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reviewer says about an item."""

    verdict: str
    reason: str = ""
    duplicate_of: int | None = None
    labels: tuple[str, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    active_s: int | None = None

    def check(self, reviewer: User, item: ReviewItem, subject: Subject) -> dict[str, Any]:
        """The columns of the row of this reviewer's verdict. Raises ValidationError naming the field and the limit."""
        errors: dict[str, str] = {}
        if self.verdict not in Verdict.values:
            errors["verdict"] = _("Must be one of: %(known)s.") % {"known": ", ".join(Verdict.values)}
        if self.verdict == Verdict.REJECT and self.reason not in Reason.values:
            errors["reason"] = _("Say why: one of %(known)s.") % {"known": ", ".join(Reason.values)}
        note = self.note.replace("\r\n", "\n").replace("\x00", "").strip()
        if len(note) > MAX_NOTE_CHARACTERS:
            errors["note"] = _("Must have at most %(limit)d characters; this has %(length)d.") % {
                "limit": MAX_NOTE_CHARACTERS,
                "length": len(note),
            }
        if self.verdict == Verdict.QUESTION and not note:
            errors["note"] = _("Write the question that the contributor is asked.")
        if self.verdict == Verdict.REJECT and self.reason == Reason.OTHER and not note:
            errors["note"] = _("Say in the note what the other reason is.")
        unknown = sorted(set(self.labels) - set(LABELS))
        if unknown:
            errors["labels"] = _("Unknown label: %(unknown)s.") % {"unknown": ", ".join(unknown)}
        original = named = None
        if self.verdict == Verdict.DUPLICATE:
            original, refused = self._find_original(reviewer, item)
            named = self.duplicate_of if self.duplicate_of != original else None
            errors |= refused
        if errors:
            raise ValidationError(errors)
        return {
            "verdict": self.verdict,
            "reason": self.reason if self.verdict == Verdict.REJECT else "",
            "duplicate_of_id": original,
            "named_duplicate_of_id": named,
            "labels": [label for label in LABELS if label in self.labels],
            "answers": self._checked_answers(subject),
            "note": note,
        }

    def _find_original(self, reviewer: User, item: ReviewItem) -> tuple[int | None, dict[str, str]]:
        """The number of the item that this one repeats; or why what was named cannot be it."""
        if self.duplicate_of is None:
            return None, {"duplicate_of": _("Say of which item, by its number.")}
        if self.duplicate_of == item.pk:
            return None, {"duplicate_of": _("An item is no duplicate of itself.")}
        named = ReviewItem.objects.filter(pk=self.duplicate_of).first()
        if named is None:
            return None, {"duplicate_of": _("There is no item #%(number)d.") % {"number": self.duplicate_of}}
        if (named.vote_id is None) != (item.vote_id is None):
            return None, {"duplicate_of": _("A vote repeats a vote, and a submission a submission.")}
        [shown] = shown_to(reviewer, [named])
        if shown.duplicate_of_id is not None:
            words = _("#%(number)d is itself a duplicate: of #%(first)d. Name that one.")
            return None, {"duplicate_of": words % {"number": named.pk, "first": shown.duplicate_of_id}}
        # Whoever it measures must not learn that it repeats another, so that this goes to the first unsaid.
        first = named.duplicate_of_id
        return (named.pk if first in {None, item.pk} else first), {}

    def _checked_answers(self, subject: Subject) -> dict[str, Any]:
        """A reviewer answers as many of the questions as they like, each as a contributor would."""
        if not self.answers:
            return {}
        if isinstance(subject, Vote):
            raise ValidationError({"answers": [_("A vote answers no questionnaire, so there is none to answer.")]})
        questions = own_questions(subject.questionnaire)
        accepted = validate_answers(questions, self.answers, is_complete=False)
        return {question.key: value for question, value in accepted}


def own_questions(questionnaire: Questionnaire) -> list[Question]:
    """What reviewers may answer themselves: what is chosen or said, not what is marked on the answer."""
    return [question for question in questionnaire.questions.all() if question.kind in _ANSWERED_BY_REVIEWERS]


def questions_of(item: ReviewItem) -> list[Question]:
    """What a reviewer of this item may answer themselves; nothing about a vote."""
    return own_questions(item.submission.questionnaire) if item.submission is not None else []


def record_verdict(reviewer: User, item_id: int, claim_number: int, judgement: Judgement) -> Review:
    """The verdict of who holds the item; the same claim again returns the verdict that it led to.

    Raises ValidationError, ClaimLost, and ReviewItem.DoesNotExist.
    """
    with transaction.atomic():
        item, subject = lock_item(item_id)
        earlier = item.reviews.filter(reviewer=reviewer, claim_number=claim_number, is_bulk=False).first()
        if earlier is not None and claim_number:
            return earlier
        _require_claim(item, subject, reviewer, claim_number)
        columns = judgement.check(reviewer, item, subject)
        elapsed_s = max(0, int((timezone.now() - item.claimed_at).total_seconds())) if item.claimed_at else None
        # A page cannot have been looked at for longer than it was held.
        active_s = min(judgement.active_s, elapsed_s or 0) if judgement.active_s is not None else None
        return write_verdict(
            item, subject, reviewer, columns, claim_number=claim_number, elapsed_s=elapsed_s, active_s=active_s
        )


def write_verdict(item: ReviewItem, subject: Subject, reviewer: User, columns: dict[str, Any], **more: Any) -> Review:
    """Store a checked verdict and what follows. Call inside a transaction that holds both rows."""
    kind = kind_of_next(item, columns["verdict"])
    review = Review.objects.create(
        item=item,
        reviewer=reviewer,
        kind=kind,
        submission_version=subject.version,
        **columns,
        **more,
    )
    record_event(item, "verdict", reviewer, review=review.pk, kind=kind, verdict=review.verdict, reason=review.reason)
    if kind == Kind.GOLD:
        item.release(reviewer)
        return review
    if review.verdict == Verdict.QUESTION:
        Inquiry.objects.create(item=item, review=review, question=review.note)
    resettle(item, subject, reviewer)
    return review


def kind_of_next(item: ReviewItem, verdict: str) -> Kind:
    """In which role the next verdict on this item is given. Passing an item on upwards decides nothing."""
    if item.is_gold:
        return Kind.GOLD
    is_decision = item.state == ItemState.ADJUDICATION and verdict != Verdict.ESCALATE
    return Kind.ADJUDICATION if is_decision else Kind.INDEPENDENT


def undo_verdict(reviewer: User, review_id: int) -> ReviewItem:
    """Take back one's own verdict; the item waits again, for oneself first. The verdict stays readable as undone.

    Raises UndoRefused, and Review.DoesNotExist for somebody else's.
    """
    with transaction.atomic():
        item_id = Review.objects.values_list("item_id", flat=True).get(pk=review_id, reviewer=reviewer)
        item, subject = lock_item(item_id)
        review = Review.objects.select_for_update().get(pk=review_id)
        if not review.is_live:
            raise UndoRefused(_("This verdict does not count any more, so there is nothing to undo."))
        if timezone.now() - review.created_at > UNDO_WITHIN:
            raise UndoRefused(_("A verdict can be undone for 24 hours. A maintainer can still reopen the item."))
        if review.kind == Kind.INDEPENDENT and item.reviews.filter(superseded_at=None, kind=Kind.ADJUDICATION).exists():
            raise UndoRefused(_("Somebody has decided between the verdicts since. A maintainer can reopen the item."))
        if item.state == ItemState.WITHDRAWN:
            raise UndoRefused(_("The contributor has withdrawn it since."))
        review.supersede(Superseded.UNDONE)
        record_event(item, "undone", reviewer, review=review.pk, kind=review.kind, verdict=review.verdict)
        if review.kind == Kind.GOLD:
            item.claim(reviewer, item.policy.lease)
            return item
        resettle(item, subject, reviewer)
        if item.is_claimable:
            item.claim(reviewer, item.policy.lease)
    return item


def reopen_item(maintainer: User, item_id: int) -> bool:
    """Set all verdicts aside and let the item wait anew. False when nobody had said anything."""
    return _set_aside(maintainer, item_id, Superseded.REOPENED)


def revert_verdicts(operator: User, reviewer: User, item_id: int) -> bool:
    """Set one reviewer's verdicts on an item aside, for when they are not to be trusted."""
    return _set_aside(operator, item_id, Superseded.REVERTED, reviewer=reviewer)


def _set_aside(actor: User, item_id: int, cause: Superseded, **of: Any) -> bool:
    with transaction.atomic():
        item, subject = lock_item(item_id)
        if subject.is_withdrawn:
            return False
        reviews = [each for each in item.reviews.filter(superseded_at=None, **of) if each.supersede(cause)]
        if not reviews:
            return False
        record_event(item, cause.value, actor, reviews=[each.pk for each in reviews])
        resettle(item, subject, actor)
    return True


def mark_gold(maintainer: User, item_id: int, note: str = "") -> GoldItem:
    """Make a decided item one that reviewers are measured by. Raises ValidationError when it is not decided."""
    with transaction.atomic():
        item, _submission = lock_item(item_id)
        if item.state != ItemState.DECIDED:
            raise ValidationError({"item": [_("Only a decided item has a known answer.")]})
        gold, _is_new = GoldItem.objects.update_or_create(
            item=item,
            defaults={"verdict": item.outcome, "note": note[:MAX_NOTE_CHARACTERS], "created_by": maintainer},
        )
        ReviewItem.objects.filter(pk=item.pk).update(is_gold=True)
        record_event(item, "gold", maintainer, verdict=item.outcome)
    return gold


def _require_claim(item: ReviewItem, subject: Subject, reviewer: User, claim_number: int) -> None:
    if subject.is_withdrawn:
        raise ClaimLost(_("The contributor has withdrawn this. Nothing was recorded."))
    if subject.owner_id == reviewer.pk:
        raise ClaimLost(_("This is your own: somebody else reviews it."))
    if item.claimed_by_id != reviewer.pk or item.claim_number != claim_number:
        if item.submission_version > 1 and item.claimed_by_id is None:
            raise ClaimLost(
                _("The contributor changed this submission meanwhile. Nothing was recorded; read it again.")
            )
        raise ClaimLost(_("You do not hold this item any more: your time on it ran out and somebody else took it."))
    if not item.is_gold and not item.is_claimable:
        raise ClaimLost(_("This item does not wait for a verdict any more."))
    if item.needs_maintainer and not reviewer.has_role(Role.MAINTAINER):
        raise ClaimLost(_("This item was escalated: a maintainer decides it."))
    if item.reviews.filter(reviewer=reviewer, superseded_at=None).exists():
        raise ClaimLost(_("You have judged this item already."))
