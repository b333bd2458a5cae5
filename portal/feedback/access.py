"""Load or 404: the pages of questionnaires and unpublished campaigns do not exist but for maintainers."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from portal.accounts.models import User
from portal.feedback.models import Campaign, Questionnaire


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
