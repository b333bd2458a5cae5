"""What templates ask of somebody's own submission or vote, wherever it can be withdrawn."""

from __future__ import annotations

from django import template

from portal.arena.models import Vote
from portal.feedback.contribution_notes import contribution_notes, keeps_copy
from portal.feedback.models import Submission

register = template.Library()


@register.filter
def has_published_copy(given: Submission | Vote) -> bool:
    """Whether files that were given out have it, and keep it when it is withdrawn."""
    return keeps_copy(contribution_notes([given.pk]).get(given.pk, []))
