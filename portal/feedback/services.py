"""Give, change, withdraw and inherit judgements: validated, rate-limited, one per person and answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.accounts.models import User
from portal.feedback import answer_quality
from portal.feedback.answer_rules import validate_answers
from portal.feedback.models import Answer, Questionnaire, Submission, Target
from portal.feedback.queries import answer_questionnaire
from portal.playground.models import Generation, State

RATE_NAME = "feedback"


class GenerationNotJudgeable(ValidationError):
    """The generation has no answer to judge yet, or never will."""


class VersionConflict(Exception):
    """The submission was changed since the version that a change is based on."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            _("This judgement was changed in the meantime: it is at version %(found)d, not %(expected)d.")
            % {"expected": expected, "found": found}
        )
        self.expected = expected
        self.found = found


def submit_feedback(
    actor: Actor, generation: Generation, answers: Mapping[str, Any], expected_version: int | None = None
) -> Submission:
    """Make `answers` the actor's whole judgement of `generation`: given, changed, or live again after a withdrawal.

    `expected_version` guards against lost updates: 0 says that there is none yet, None asks for no check.

    Raises AnswersInvalid, GenerationNotJudgeable, VersionConflict, LimitExceeded, and PermissionDenied when the
    generation is somebody else's.
    """
    return _store(actor, generation, lambda _before: answers, expected_version)


def revise_feedback(
    actor: Actor, generation: Generation, changes: Mapping[str, Any], expected_version: int | None = None
) -> Submission:
    """Change some answers and keep the others; None takes an answer away. Raises as `submit_feedback` does."""
    return _store(actor, generation, lambda before: {**before, **changes}, expected_version)


def withdraw_feedback(actor: Actor, generation: Generation) -> Submission:
    """Delete the answers and leave a tombstone; withdrawing again changes nothing.

    Raises Submission.DoesNotExist when the actor gave none, and LimitExceeded.
    """
    check_rate(actor, RATE_NAME, settings.FEEDBACK_RATE)
    with transaction.atomic():
        submission = _own(actor, generation).select_for_update().get()
        if not submission.is_withdrawn:
            submission.withdraw(timezone.now())
    return submission


def withdraw_as_operator(submission_id: uuid.UUID) -> bool:
    """Withdraw somebody's judgement for them or against abuse; False when it was withdrawn already."""
    with transaction.atomic():
        submission = Submission.objects.select_for_update().get(pk=submission_id)
        if submission.is_withdrawn:
            return False
        submission.withdraw(timezone.now())
    return True


def give_submissions_to_user(visitor: uuid.UUID, user: User) -> None:
    """An anonymous visitor signed in: their judgements become the user's. Of two on one answer the newer stays."""
    with transaction.atomic():
        of_visitor = Submission.objects.select_for_update().filter(visitor=visitor, is_only=True)
        of_user = Submission.objects.select_for_update().filter(owner=user, is_only=True)
        already = {each.said_on: each for each in of_user.filter(_same_targets(of_visitor))}
        for theirs in of_visitor:
            mine = already.get(theirs.said_on)
            if mine is not None:
                older = mine if mine.changed_at < theirs.changed_at else theirs
                older.supersede(timezone.now())
        Submission.objects.filter(visitor=visitor).update(owner=user, visitor=None)


def require_judgeable(generation: Generation) -> None:
    """Raises GenerationNotJudgeable unless there is an answer: a finished one, or what a stopped run left."""
    if generation.state == State.SUCCEEDED:
        return
    if generation.state == State.CANCELLED and (generation.output or generation.thinking):
        return
    message = (
        _("This run has not finished yet. An answer can be judged once it is there.")
        if generation.is_active
        else _("This run ended without an answer, so there is nothing to judge.")
    )
    raise GenerationNotJudgeable({"generation": [message]})


def _store(
    actor: Actor,
    generation: Generation,
    answers_after: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    expected_version: int | None,
) -> Submission:
    _require_own(actor, generation)
    require_judgeable(generation)
    check_rate(actor, RATE_NAME, settings.FEEDBACK_RATE)
    questionnaire = answer_questionnaire()
    with transaction.atomic():
        submission = _locked(actor, generation)
        if submission is None:
            _require_version(expected_version, found=0)
            created = _create(actor, generation, questionnaire, answers_after({}))
            if created is not None:
                return created
            # Somebody with the same identity was faster between the look and the insert; theirs is changed instead.
            submission = _locked(actor, generation)
            assert submission is not None
        _require_version(expected_version, found=submission.version)
        _change(submission, questionnaire, answers_after(submission.values()))
    return submission


def _own(actor: Actor, generation: Generation) -> QuerySet[Submission]:
    return Submission.objects.filter(
        actor.owns(), generation=generation, questionnaire_slug=answer_quality.SLUG, is_only=True
    )


def _same_targets(submissions: Iterable[Submission]) -> Q:
    """Selects what judges one of the things that `submissions` judge."""
    keys: dict[str, list[Any]] = {target: [] for target in Target}
    for each in submissions:
        keys[each.target].append(getattr(each, f"{each.target}_id"))
    chosen = Q(pk__in=[])
    for target, found in keys.items():
        chosen |= Q(target=target, **{f"{target}__in": found})
    return chosen


def _locked(actor: Actor, generation: Generation) -> Submission | None:
    return _own(actor, generation).select_for_update().first()


def _create(
    actor: Actor, generation: Generation, questionnaire: Questionnaire, answers: Mapping[str, Any]
) -> Submission | None:
    accepted = validate_answers(questionnaire.questions.all(), answers)
    now = timezone.now()
    submission = Submission.on(generation, questionnaire, created_at=now, changed_at=now, **actor.ownership())
    try:
        with transaction.atomic():
            submission.save(force_insert=True)
    except IntegrityError:
        return None
    submission.replace_answers([Answer.of(submission, question, value) for question, value in accepted])
    submission.newly_created = True
    return submission


def _change(submission: Submission, questionnaire: Questionnaire, answers: Mapping[str, Any]) -> None:
    accepted = validate_answers(questionnaire.questions.all(), answers)
    is_same = submission.questionnaire_id == questionnaire.pk and not submission.is_withdrawn
    if is_same and submission.values() == {question.key: value for question, value in accepted}:
        # A double click, or a client that repeats itself, is no change.
        return
    submission.questionnaire = questionnaire
    submission.version += 1
    submission.changed_at = timezone.now()
    submission.withdrawn_at = None
    submission.save(update_fields=["questionnaire", "version", "changed_at", "withdrawn_at"])
    submission.replace_answers([Answer.of(submission, question, value) for question, value in accepted])


def _require_version(expected: int | None, *, found: int) -> None:
    if expected is not None and expected != found:
        raise VersionConflict(expected, found)


def _require_own(actor: Actor, generation: Generation) -> None:
    conversation = generation.conversation
    if actor.user is not None:
        is_own = conversation.owner_id == actor.user.pk
    else:
        is_own = actor.visitor is not None and conversation.visitor == actor.visitor
    if not is_own:
        raise PermissionDenied(_("Only the person who asked can judge the answer."))
