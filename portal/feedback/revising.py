"""Change a submission that one has, whatever it is about."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.feedback import answer_quality, token_choice
from portal.feedback.campaign_services import require_may_answer
from portal.feedback.models import Questionnaire, Submission, Target
from portal.feedback.services import Answers, Giving, Judged, give_answers
from portal.feedback.terms import Terms

FLAG_OF_TARGET: Final = {
    Target.GENERATION: "on_answers",
    Target.COMPARISON: "on_comparisons",
    Target.CARD: "on_cards",
}
# Asked where they belong, and not among the reports.
ALWAYS_ASKED: Final = (answer_quality.SLUG, token_choice.SLUG)


class CannotBeChanged(Exception):
    """What may be said several times is withdrawn and said again; and what is asked no longer is not changed."""


def revise_submission(
    actor: Actor, submission: Submission, changes: Answers, expected_version: int, terms: Terms | None = None
) -> Submission:
    """Change some answers and keep the others; None takes an answer away.

    `submission` is the actor's own, with what it judges loaded. Raises CannotBeChanged, CampaignClosed, AnswersInvalid,
    AlreadyReviewed, GenerationNotJudgeable, VersionConflict, LimitExceeded, and PermissionDenied as giving does.
    """
    if not submission.is_only:
        raise CannotBeChanged(_("One may say this several times, so none is changed: withdraw it, and give another."))
    if submission.campaign is not None:
        require_may_answer(actor, submission.campaign)
    giving = Giving(actor, judged_by(submission), asked_now(submission), terms, expected_version)
    return give_answers(giving, lambda before: {**before, **changes})


def judged_by(submission: Submission) -> Judged:
    """What a submission is about."""
    judged: Judged = getattr(submission, submission.target)
    return judged


def asked_now(submission: Submission) -> Questionnaire:
    """The version of its questionnaire that is asked at present. Raises CannotBeChanged where none is any more."""
    if submission.campaign is not None:
        return submission.campaign.questionnaire
    current = Questionnaire.objects.prefetch_related("questions").filter(
        slug=submission.questionnaire_slug, is_current=True
    )
    if submission.questionnaire_slug not in ALWAYS_ASKED:
        current = current.filter(**{FLAG_OF_TARGET[Target(submission.target)]: True})
    found = current.first()
    if found is None:
        raise CannotBeChanged(_("This questionnaire is not asked any more, so what it was answered stays as it is."))
    return found
