"""Measures against abuse: blocking who gives, setting aside who judged. Nothing disappears; all can be undone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.reviews.models import Block, Review, ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.services.bulk import MOST_ITEMS, quarantine
from portal.reviews.services.verdicts import revert_verdicts
from portal.reviews.settling import ItemState, Kind

MAX_REASON_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A contributor: an account, or an anonymous browser."""

    user: User | None = None
    visitor: uuid.UUID | None = None

    @classmethod
    def named(cls, text: str) -> Person:
        """By user name, or by a visitor's id. Raises ValidationError when there is none."""
        text = text.strip()
        user = User.objects.filter(username__iexact=text).first()
        if user is not None:
            return cls(user=user)
        try:
            return cls(visitor=uuid.UUID(text))
        except ValueError:
            unknown = _("There is no account of this name, and it is no visitor's id.")
            raise ValidationError({"person": [unknown]}) from None

    def columns(self) -> dict[str, Any]:
        return {"owner": self.user, "visitor": self.visitor}

    def items(self) -> list[int]:
        """Their items that a quarantine would touch, the newest first."""
        own = {"owner": self.user} if self.user is not None else {"visitor": self.visitor}
        open_ones = ReviewItem.objects.filter(is_quarantined=False).exclude(state=ItemState.WITHDRAWN)
        # One look each: an OR over two joins goes by no index.
        found = [
            key
            for kind in ("submission", "vote")
            for key in open_ones.filter(**{f"{kind}__{column}": value for column, value in own.items()})
            .order_by("-id")
            .values_list("pk", flat=True)[:MOST_ITEMS]
        ]
        return sorted(found, reverse=True)[:MOST_ITEMS]


def block_contributor(operator: User, person: Person, reason: str, until: datetime | None = None) -> Block:
    """Let them give nothing more; they are told why. Raises ValidationError naming the field."""
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON_CHARACTERS:
        limit = {"limit": MAX_REASON_CHARACTERS}
        needed = _("Give a reason of 1 to %(limit)d characters; the person reads it.") % limit
        raise ValidationError({"reason": [needed]})
    if person.user is not None and person.user.pk == operator.pk:
        raise ValidationError({"person": [_("You cannot block yourself.")]})
    with transaction.atomic():
        block = Block.objects.create(reason=reason, until=until, created_by=operator, **person.columns())
        record_event(block, "blocked", operator, reason=reason, until=str(until or ""))
    return block


def lift_block(operator: User, block: Block) -> bool:
    """Let them give again. False when the block was lifted."""
    with transaction.atomic():
        lifted = block.lift()
        if lifted:
            record_event(block, "lifted", operator)
    return lifted


def block_of(actor: Actor) -> Block | None:
    """What keeps this actor from giving anything now."""
    if actor.user is None and actor.visitor is None:
        return None
    now = timezone.now()
    in_force = Block.objects.filter(Q(until__isnull=True) | Q(until__gt=now), lifted_at=None)
    return in_force.filter(**actor.ownership()).first()


def require_not_blocked(subject: Subject) -> None:
    """Raises PermissionDenied, in the block's words, when who gave this may give nothing. Withdrawing stays free."""
    if subject.is_withdrawn:
        return
    block = block_of(Actor(user=subject.owner, visitor=subject.visitor))
    if block is not None:
        raise PermissionDenied(_("You cannot give anything at the moment: %(reason)s") % {"reason": block.reason})


def quarantine_contributor(operator: User, person: Person) -> int:
    """Take all of theirs out of the queue, up to 500 at a time; how many it was."""
    return quarantine(operator, person.items())


def verdicts_of(reviewer: User) -> Sequence[int]:
    """The items with a verdict of theirs that counts, the newest first, up to 500."""
    live = Review.objects.filter(reviewer=reviewer, superseded_at=None).exclude(kind=Kind.GOLD)
    return list(live.order_by("-id").values_list("item_id", flat=True)[:MOST_ITEMS])


def revert_reviewer(operator: User, reviewer: User) -> int:
    """Set aside all verdicts of a reviewer who is not to be trusted; the items wait anew. How many it were."""
    return sum(revert_verdicts(operator, reviewer, item_id) for item_id in verdicts_of(reviewer))
