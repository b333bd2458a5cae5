"""What templates ask of somebody's own submissions and votes, wherever they can be withdrawn."""

from __future__ import annotations

from collections.abc import Sequence

from django import template

from portal.arena.showing import ShownTurn
from portal.feedback.contribution_notes import contribution_notes, keeps_copy
from portal.feedback.models import Submission

register = template.Library()


@register.filter
def has_published_copy(given: Submission) -> bool:
    """Whether files that were given out have it, and keep it when it is withdrawn."""
    return keeps_copy(contribution_notes([given.pk]).get(given.pk, []))


@register.simple_tag
def turns_with_published_copies(turns: Sequence[ShownTurn]) -> set[int]:
    """The same of the votes on turns: the numbers of those of which one at least is in such files."""
    notes = contribution_notes([vote.pk for turn in turns for vote in turn.votes])
    return {turn.number for turn in turns if any(keeps_copy(notes.get(vote.pk, [])) for vote in turn.votes)}
