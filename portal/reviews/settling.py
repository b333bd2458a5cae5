"""What an item's verdicts make of it: a pure function from live verdicts to the item's state and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _


class ItemState(models.TextChoices):
    """Where an item stands. Which one is always what `settle` makes of the item's live verdicts."""

    WAITING = "waiting", _("Waiting for reviewers")
    QUESTION = "question", _("Contributor was asked")
    ADJUDICATION = "adjudication", _("Waiting for a decision")
    DECIDED = "decided", _("Decided")
    QUARANTINED = "quarantined", _("Quarantined")
    WITHDRAWN = "withdrawn", _("Withdrawn")


# A person can be given these.
CLAIMABLE_STATES = (ItemState.WAITING, ItemState.ADJUDICATION)
OPEN_STATES = (ItemState.WAITING, ItemState.QUESTION, ItemState.ADJUDICATION)


class Verdict(models.TextChoices):
    """What a reviewer says about an item."""

    ACCEPT = "accept", _("Accept")
    REJECT = "reject", _("Reject")
    DUPLICATE = "duplicate", _("Duplicate")
    SPAM = "spam", _("Spam")
    QUESTION = "question", _("Needs information")
    ESCALATE = "escalate", _("Escalate")


DECISIVE_VERDICTS = frozenset({Verdict.ACCEPT, Verdict.REJECT, Verdict.DUPLICATE, Verdict.SPAM})


class Reason(models.TextChoices):
    """Why something was rejected; told to the contributor."""

    UNFOUNDED = "unfounded", _("The answer does not bear it out")
    UNCLEAR = "unclear", _("Not understandable")
    OFF_TOPIC = "off-topic", _("About something else")
    NOT_REPRODUCED = "not-reproduced", _("Could not be reproduced")
    EXPECTED = "expected", _("The model works as described")
    PERSONAL_DATA = "personal-data", _("Holds personal data")
    OTHER = "other", _("Another reason, see the note")


class Kind(models.TextChoices):
    """In which role a verdict was given."""

    INDEPENDENT = "independent", _("Independent")
    ADJUDICATION = "adjudication", _("Adjudication")
    GOLD = "gold", _("On a gold item")


@dataclass(frozen=True, slots=True)
class LiveVerdict:
    """A verdict that counts: given, and neither undone nor overtaken."""

    kind: str
    verdict: str
    duplicate_of: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """An item's state, its outcome when decided, how many independent verdicts count, whether a maintainer is due."""

    state: ItemState
    outcome: str = ""
    verdicts: int = 0
    needs_maintainer: bool = False


def settle(
    verdicts: Sequence[LiveVerdict], needed: int, *, is_withdrawn: bool = False, is_quarantined: bool = False
) -> Settlement:
    """The state that follows from what counts. The order of the verdicts does not matter."""
    independent = [each for each in verdicts if each.kind == Kind.INDEPENDENT]
    decision = next((each for each in verdicts if each.kind == Kind.ADJUDICATION), None)
    given = {each.verdict for each in verdicts}
    outcome, needs_maintainer = "", False
    if is_withdrawn:
        state = ItemState.WITHDRAWN
    elif is_quarantined:
        state = ItemState.QUARANTINED
    elif decision is not None and decision.verdict in DECISIVE_VERDICTS:
        state, outcome = ItemState.DECIDED, decision.verdict
    elif Verdict.QUESTION in given:
        state = ItemState.QUESTION
    elif Verdict.ESCALATE in given:
        state, needs_maintainer = ItemState.ADJUDICATION, True
    elif len(independent) < needed:
        state = ItemState.WAITING
    elif len({(each.verdict, each.duplicate_of) for each in independent}) == 1:
        state, outcome = ItemState.DECIDED, independent[0].verdict
    else:
        state = ItemState.ADJUDICATION
    return Settlement(state, outcome, len(independent), needs_maintainer)
