"""Give, change and inherit judgements: validated, rate-limited, and one per person where that is asked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.accounts.models import User
from portal.arena.models import Comparison
from portal.catalog.models import ModelCard
from portal.feedback import token_choice
from portal.feedback.answer_rules import validate_answers
from portal.feedback.answer_values import KINDS_ON_TEXT, NO_JUDGED_TEXT, JudgedText
from portal.feedback.models import Answer, Campaign, CampaignDraft, Question, Questionnaire, Submission, Target
from portal.feedback.queries import answer_questionnaire, judged_text
from portal.feedback.terms import Terms
from portal.feedback.text_facts import columns_of, output_digest
from portal.feedback.wording import page_language
from portal.playground.models import Conversation, Generation, State

RATE_NAME: Final = "feedback"
Judged = Generation | Comparison | ModelCard | Campaign
Answers = Mapping[str, Any]


class GenerationNotJudgeable(ValidationError):
    """The generation has no answer to judge yet, or never will."""


class AlreadyReviewed(Exception):
    """A verdict was given on what the submission says, so that it stays what it says; it can still be withdrawn."""

    def __init__(self) -> None:
        super().__init__(
            _("This was reviewed, and the review is about what it says now: it cannot be changed, only withdrawn.")
        )


class VersionConflict(Exception):
    """The submission was changed since the version that a change is based on."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            _("This judgement was changed in the meantime: it is at version %(found)d, not %(expected)d.")
            % {"expected": expected, "found": found}
        )
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Giving:
    """Somebody says something about something: what every way to give it has in common.

    `expected_version` guards against lost updates: 0 says that there is none yet, None asks for no check. `language`
    is the one that the questions were shown in.
    """

    actor: Actor
    target: Judged
    questionnaire: Questionnaire
    terms: Terms | None = None
    expected_version: int | None = None
    is_only: bool = True
    language: str = ""

    def existing(self) -> Submission | None:
        """What was given before, locked. Call inside a transaction."""
        if not self.is_only:
            return None
        before = said_before(self.actor, self.target, self.questionnaire.slug).select_for_update()
        # Mostly there is none, and to ask for its key alone costs half.
        key = next(iter(before.order_by().values_list("pk", flat=True)), None)
        return Submission.objects.select_for_update().get(pk=key) if key is not None else None

    def judged_text(self, questions: Iterable[Question]) -> JudgedText:
        is_about_text = isinstance(self.target, Generation) and any(each.kind in KINDS_ON_TEXT for each in questions)
        return judged_text(self.target) if is_about_text and isinstance(self.target, Generation) else NO_JUDGED_TEXT

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "questionnaire": self.questionnaire.slug,
            "version": self.questionnaire.version,
            "language": self.language or page_language(),
        }
        match self.target:
            case Generation():
                shown["output_sha256"] = output_digest(self.target.output)
                original = self.target.branched_from
                if self.questionnaire.slug == token_choice.SLUG and original is not None:
                    shown["branched_from"] = str(original.pk)
                    shown["branched_from_sha256"] = output_digest(original.output)
            case Comparison():
                shown["output_sha256"] = [
                    output_digest(each.output) for each in (self.target.generation_a, self.target.generation_b)
                ]
            case ModelCard() if self.target.current_revision is not None:
                shown["card_revision"] = self.target.current_revision.number
        return shown


def submit_feedback(
    actor: Actor,
    generation: Generation,
    answers: Answers,
    expected_version: int | None = None,
    terms: Terms | None = None,
) -> Submission:
    """Make `answers` the actor's whole judgement of `generation`: given, changed, or live again after a withdrawal.

    Raises AnswersInvalid, GenerationNotJudgeable, AlreadyReviewed, VersionConflict, LimitExceeded, and
    PermissionDenied when the generation is somebody else's.
    """
    giving = Giving(actor, generation, answer_questionnaire(), terms, expected_version)
    return give_answers(giving, lambda _before: answers)


def revise_feedback(
    actor: Actor,
    generation: Generation,
    changes: Answers,
    expected_version: int | None = None,
    terms: Terms | None = None,
    questionnaire: Questionnaire | None = None,
) -> Submission:
    """Change some answers and keep the others; None takes an answer away. Raises as `submit_feedback` does.

    `questionnaire` is the current one, where the caller has read it.
    """
    giving = Giving(actor, generation, questionnaire or answer_questionnaire(), terms, expected_version)
    return give_answers(giving, lambda before: {**before, **changes})


def submit_report(
    actor: Actor, target: Generation | Comparison | ModelCard, questionnaire: Questionnaire, answers: Answers,
    terms: Terms | None = None, expected_version: int | None = None,
) -> Submission:  # fmt: skip
    """Answer a questionnaire about an answer, a comparison or a card. A card takes several reports of one person.

    Raises as `submit_feedback` does.
    """
    is_only = not isinstance(target, ModelCard)
    giving = Giving(actor, target, questionnaire, terms, expected_version, is_only=is_only)
    return give_answers(giving, lambda _before: answers)


def give_submissions_to_user(visitor: uuid.UUID, user: User) -> None:
    """A visitor signed in: what they gave and wrote becomes the user's. Of two on one thing the newer stays."""
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
        drafts = CampaignDraft.objects.filter(visitor=visitor)
        # What was written last, in this browser, is what they go on with.
        CampaignDraft.objects.filter(owner=user, campaign__in=drafts.values("campaign")).delete()
        drafts.update(owner=user, visitor=None)


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


def give_answers(giving: Giving, answers_after: Callable[[Answers], Answers]) -> Submission:
    """Store what `answers_after` makes of the answers given before; every way to give something ends here."""
    _require_may_judge(giving)
    check_rate(giving.actor, RATE_NAME, settings.FEEDBACK_RATE)
    with transaction.atomic():
        submission = giving.existing()
        if submission is None:
            _require_version(giving.expected_version, found=0)
            created = _create(giving, answers_after({}))
            if created is not None:
                return created
            # Somebody with the same identity was faster between the look and the insert; theirs is changed instead.
            submission = giving.existing()
            assert submission is not None
        _require_version(giving.expected_version, found=submission.version)
        _change(submission, giving, answers_after(submission.values()))
    return submission


def said_before(actor: Actor, target: Judged, questionnaire_slug: str) -> QuerySet[Submission]:
    """What the actor said about `target` with a questionnaire of which there is one per person."""
    kind, column = _TARGETS[type(target)]
    return Submission.objects.filter(
        actor.owns(), target=kind, questionnaire_slug=questionnaire_slug, is_only=True, **{column: target}
    )


_TARGETS: Final[dict[type[Judged], tuple[Target, str]]] = {
    Generation: (Target.GENERATION, "generation"),
    Comparison: (Target.COMPARISON, "comparison"),
    ModelCard: (Target.CARD, "card"),
    Campaign: (Target.CAMPAIGN, "campaign"),
}


def _same_targets(submissions: Iterable[Submission]) -> Q:
    """Selects what judges one of the things that `submissions` judge."""
    keys: dict[str, list[Any]] = {target: [] for target in Target}
    for each in submissions:
        keys[each.target].append(getattr(each, f"{each.target}_id"))
    chosen = Q(pk__in=[])
    for target, found in keys.items():
        chosen |= Q(target=target, **{f"{target}__in": found})
    return chosen


def _create(giving: Giving, answers: Answers) -> Submission | None:
    """None when there is one already that this would be the second of."""
    accepted = _accepted(giving, answers)
    terms = giving.terms or Terms()
    now = timezone.now()
    shown = giving.shown()
    submission = Submission.on(
        giving.target,
        giving.questionnaire,
        is_only=giving.is_only,
        created_at=now,
        changed_at=now,
        consent=terms.consent,
        licence=terms.chosen_licence,
        shown=shown,
        network_digest=giving.actor.network_digest,
        **columns_of(accepted, shown["language"]),
        **giving.actor.ownership(),
    )
    try:
        with transaction.atomic():
            submission.save(force_insert=True)
    except IntegrityError:
        if not giving.is_only:
            raise
        return None
    submission.newly_created = True
    submission.replace_answers([Answer.of(submission, question, value) for question, value in accepted])
    return submission


def _change(submission: Submission, giving: Giving, answers: Answers) -> None:
    accepted = _accepted(giving, answers)
    terms = giving.terms or Terms(submission.consent, submission.licence)  # type: ignore[arg-type]
    is_same = (
        submission.questionnaire_id == giving.questionnaire.pk
        and not submission.is_withdrawn
        and (submission.consent, submission.licence) == (terms.consent, terms.chosen_licence)
    )
    if is_same and submission.values() == {question.key: value for question, value in accepted}:
        # A double click, or a client that repeats itself, is no change.
        return
    if not submission.is_withdrawn and not submission.may_be_changed:
        raise AlreadyReviewed
    submission.questionnaire = giving.questionnaire
    submission.consent, submission.licence = terms.consent, terms.chosen_licence
    submission.shown = giving.shown()
    submission.network_digest = giving.actor.network_digest
    submission.revise(columns_of(accepted, submission.shown["language"]), timezone.now())
    submission.replace_answers([Answer.of(submission, question, value) for question, value in accepted])


def _accepted(giving: Giving, answers: Answers) -> list[tuple[Question, Any]]:
    questions = list(giving.questionnaire.questions.all())
    # What the answer's text is, is only looked up where something on it is said.
    answered = [question for question in questions if question.key in answers]
    return validate_answers(questions, answers, giving.judged_text(answered))


def _require_version(expected: int | None, *, found: int) -> None:
    if expected is not None and expected != found:
        raise VersionConflict(expected, found)


def _require_may_judge(giving: Giving) -> None:
    match giving.target:
        case Generation():
            _require_own(giving.actor, giving.target.conversation)
            require_judgeable(giving.target)
        case Comparison():
            _require_own(giving.actor, giving.target)


def _require_own(actor: Actor, asked: Conversation | Comparison) -> None:
    if actor.user is not None:
        is_own = asked.owner_id == actor.user.pk
    else:
        is_own = actor.visitor is not None and asked.visitor == actor.visitor
    if not is_own:
        raise PermissionDenied(_("Only the person who asked can judge the answer."))
