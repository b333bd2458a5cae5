"""Make campaigns, keep what people wrote so far, take what they send, and choose who is quoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.accounts.models import User
from portal.feedback.answer_rules import validate_answers
from portal.feedback.models import Answer, Campaign, CampaignDraft, ChosenQuote, Consent, QuestionKind, Submission
from portal.feedback.services import Giving, give_answers
from portal.feedback.terms import Terms
from portal.feedback.typed_ranking import typed_places

DRAFT_RATE_NAME: Final = "feedback-draft"


class CampaignConflict(Exception):
    """Somebody else changed the campaign since it was read."""


class CampaignClosed(ValidationError):
    """It has not begun, or its deadline is over."""


def make_campaign(author: User, values: Mapping[str, Any]) -> Campaign:
    """Raises ValidationError when there is one of this name."""
    try:
        with transaction.atomic():
            return Campaign.objects.create(author=author, **values)
    except IntegrityError:
        raise ValidationError({"slug": _("There is a campaign of this name.")}) from None


def change_campaign(campaign: Campaign, values: Mapping[str, Any]) -> None:
    """Raises CampaignConflict when it was changed since `campaign` was read, ValidationError for a taken name."""
    try:
        with transaction.atomic():
            if not campaign.change(**values):
                raise CampaignConflict
    except IntegrityError:
        raise ValidationError({"slug": _("There is a campaign of this name.")}) from None


def save_progress(actor: Actor, campaign: Campaign, answers: Mapping[str, Any]) -> CampaignDraft:
    """Keep what somebody wrote so far, a ranking as it was typed.

    Raises AnswersInvalid, CampaignClosed, PermissionDenied, LimitExceeded.
    """
    require_may_answer(actor, campaign)
    check_rate(actor, DRAFT_RATE_NAME, settings.FEEDBACK_RATE)
    questions = campaign.questionnaire.questions.all()
    accepted = validate_answers(questions, answers, is_complete=False, is_half_done=True)
    values = {question.key: value for question, value in accepted} | typed_places(answers)
    owner: dict[str, Any] = actor.ownership()
    draft, _is_new = CampaignDraft.objects.update_or_create(
        campaign=campaign, **owner, defaults={"values": values, "saved_at": timezone.now()}
    )
    return draft


def send_answers(
    actor: Actor,
    campaign: Campaign,
    answers: Mapping[str, Any],
    terms: Terms,
    expected_version: int | None = None,
    language: str = "",
) -> Submission:
    """What somebody says in a campaign; where one per person is wished, a second sending changes the first.

    Raises AnswersInvalid, CampaignClosed, AlreadyReviewed, VersionConflict, LimitExceeded, and PermissionDenied when
    it takes an account.
    """
    require_may_answer(actor, campaign)
    giving = Giving(
        actor,
        campaign,
        campaign.questionnaire,
        terms,
        expected_version if campaign.is_once else None,
        is_only=campaign.is_once,
        language=language,
    )
    with transaction.atomic():
        submission = give_answers(giving, lambda _before: answers)
        CampaignDraft.objects.filter(actor.owns(), campaign=campaign).delete()
    return submission


def choose_quote(maintainer: User, campaign: Campaign, answer_id: int) -> ChosenQuote:
    """Show a text answer on the results page. Raises Answer.DoesNotExist for one that its contributor keeps from it."""
    quotable = Answer.objects.filter(
        submission__campaign=campaign,
        submission__consent=Consent.QUOTE,
        submission__withdrawn_at=None,
        question__kind=QuestionKind.TEXT,
    )
    quote, _is_new = ChosenQuote.objects.get_or_create(
        answer=quotable.get(pk=answer_id), defaults={"campaign": campaign, "chosen_by": maintainer}
    )
    return quote


def drop_quote(campaign: Campaign, answer_id: int) -> None:
    ChosenQuote.objects.filter(campaign=campaign, answer_id=answer_id).delete()


def require_may_answer(actor: Actor, campaign: Campaign) -> None:
    """Raises CampaignClosed, and PermissionDenied where it takes an account."""
    now = timezone.now()
    if campaign.has_ended(now):
        raise CampaignClosed(_("This campaign has ended; it takes no more answers."))
    if not campaign.is_open(now):
        raise CampaignClosed(_("This campaign has not begun yet."))
    if actor.user is None and not campaign.allows_anonymous:
        raise PermissionDenied(_("Sign in to take part in this campaign."))
