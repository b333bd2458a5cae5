"""Load or 404: the pages of questionnaires and unpublished campaigns do not exist but for maintainers."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Comparison
from portal.feedback.models import Campaign, Questionnaire
from portal.feedback.models.campaign import ResultsShown
from portal.feedback.queries import asked_about


def may_maintain(user: User | AnonymousUser) -> bool:
    return user.has_perm("feedback.change_questionnaire")


def require_maintainer(user: User | AnonymousUser) -> User:
    if not isinstance(user, User) or not may_maintain(user):
        raise Http404
    return user


def get_questionnaire(user: User | AnonymousUser, slug: str, version: int) -> Questionnaire:
    """One version with its questions. Raises Http404 when there is none, or the user is no maintainer."""
    require_maintainer(user)
    found = Questionnaire.objects.prefetch_related("questions").filter(slug=slug, version=version).first()
    if found is None:
        raise Http404
    return found


def get_draft(user: User | AnonymousUser, slug: str, version: int) -> Questionnaire:
    """As `get_questionnaire`, and Http404 for what was published: it is never rewritten."""
    found = get_questionnaire(user, slug, version)
    if not found.is_draft:
        raise Http404
    return found


def get_campaign(user: User | AnonymousUser, slug: str) -> Campaign:
    """A campaign that everybody sees, or an unpublished one for maintainers. Raises Http404."""
    campaigns = Campaign.objects.select_related("questionnaire").prefetch_related("questionnaire__questions")
    campaign = campaigns.filter(slug=slug).first()
    if campaign is None or not (campaign.is_published or may_maintain(user)):
        raise Http404
    return campaign


def get_maintained_campaign(user: User | AnonymousUser, slug: str) -> Campaign:
    require_maintainer(user)
    return get_campaign(user, slug)


def may_see_results(user: User | AnonymousUser, campaign: Campaign) -> bool:
    """Whether a campaign's results are shown to this person now."""
    if may_maintain(user) or campaign.results_shown == ResultsShown.ALWAYS:
        return True
    return campaign.results_shown == ResultsShown.AFTERWARDS and campaign.has_ended()


def get_asked(flag: str, slug: str) -> Questionnaire:
    """What is asked now under this name where `flag` says (on_answers, on_comparisons, on_cards). Raises Http404."""
    questionnaire = asked_about(flag).prefetch_related("questions").filter(slug=slug).first()
    if questionnaire is None:
        raise Http404
    return questionnaire


def get_judged_comparison(actor: Actor, comparison_id: uuid.UUID) -> Comparison:
    """A comparison of one's own, once its names are shown. Raises Http404."""
    own = Comparison.objects.select_related("contest", "generation_a", "generation_b")
    comparison = own.filter(actor.owns(), pk=comparison_id).first()
    if comparison is None or comparison.contest.is_blind:
        raise Http404
    return comparison
