"""Why somebody cannot take an item now, in words, so that its page offers no more than works."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import ReviewItem
from portal.reviews.queries.items import may_review
from portal.reviews.settling import ItemState

_CLOSED: Final[dict[str, Promise]] = {
    ItemState.DECIDED: gettext_lazy("It is decided."),
    ItemState.QUESTION: gettext_lazy("Its contributor was asked; it comes back with their answer."),
    ItemState.QUARANTINED: gettext_lazy("It is in quarantine; an operator can let it out."),
    ItemState.WITHDRAWN: gettext_lazy("Its contributor withdrew it."),
}
_NO_REVIEWER: Final = gettext_lazy("Reviewers judge it.")
_OWN: Final = gettext_lazy("This is your own: somebody else reviews it.")
_JUDGED: Final = gettext_lazy("You have judged it; it waits for another reviewer.")
_ESCALATED: Final = gettext_lazy("It was escalated; a maintainer who has not judged it decides.")
_DISAGREED: Final = gettext_lazy("You have judged it, and the verdicts differ; somebody who has not judged it decides.")
_HELD: Final = gettext_lazy("Somebody is at it; it comes back when their time runs out.")


def why_not_taken(item: ReviewItem, person: User, *, has_judged: bool) -> str:
    """Empty where they may take it. `item` is what they may read of it (see `measuring`)."""
    is_theirs_to_decide = not item.needs_maintainer or (person.has_role(Role.MAINTAINER) and not has_judged)
    obstacles = (
        (_CLOSED.get(item.state), True),
        (_NO_REVIEWER, not may_review(person)),
        (_OWN, item.subject.owner_id == person.pk),
        (_JUDGED, has_judged and item.state == ItemState.WAITING),
        (_ESCALATED, not is_theirs_to_decide),
        (_DISAGREED, has_judged),
        (_HELD, item.is_claimed and not item.is_held_by(person)),
    )
    return next((str(words) for words, stands_in_the_way in obstacles if words and stands_in_the_way), "")
