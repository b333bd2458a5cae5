"""Measures against abuse: blocking who gives, setting aside who judged. Nothing disappears; all can be undone."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import Blocked
from portal.accounts.models import User
from portal.accounts.writing_turns import in_turns
from portal.reviews.models import Block, Review, ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.services.bulk import MOST_ITEMS, quarantine
from portal.reviews.services.verdicts import revert_verdicts
from portal.reviews.settling import ItemState, Kind

MAX_REASON_CHARACTERS: Final = 200
LONGEST_OF_A_NETWORK: Final = timedelta(days=90)
_NETWORK: Final = re.compile(r"network:([0-9a-f]{20})")


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a measure is against: an account, an anonymous browser, or everybody of one network, by its digest."""

    user: User | None = None
    visitor: uuid.UUID | None = None
    network: str = ""

    @classmethod
    def named(cls, text: str) -> Person:
        """By user name, a visitor's id, or `network:` and a digest. Raises ValidationError when there is none."""
        text = text.strip()
        if found := _NETWORK.fullmatch(text):
            return cls(network=found[1])
        user = User.objects.filter(username__iexact=text).first()
        if user is not None:
            return cls(user=user)
        try:
            return cls(visitor=uuid.UUID(text))
        except ValueError:
            unknown = _("There is no account of this name, and it is no visitor's id and no network.")
            raise ValidationError({"person": [unknown]}) from None

    def columns(self) -> dict[str, Any]:
        return {"owner": self.user, "visitor": self.visitor, "network_digest": self.network or None}

    def own(self) -> dict[str, Any]:
        """What selects their submissions and votes."""
        if self.network:
            return {"network_digest": self.network}
        return {"owner": self.user} if self.user is not None else {"visitor": self.visitor}

    def items(self, *, are_out: bool = False) -> list[int]:
        """Their items that a quarantine would touch, or that one took out; the newest 500 first."""
        touched = ReviewItem.objects.filter(is_quarantined=are_out).exclude(state=ItemState.WITHDRAWN)
        # One look each: an OR over two joins goes by no index.
        found = [
            key
            for kind in ("submission", "vote")
            for key in touched.filter(**{f"{kind}__{column}": value for column, value in self.own().items()})
            .order_by("-id")
            .values_list("pk", flat=True)[:MOST_ITEMS]
        ]
        return sorted(found, reverse=True)[:MOST_ITEMS]


def block_contributor(operator: User, person: Person, reason: str, until: datetime | None = None) -> Block:
    """Let them give nothing more; they are told why. A network's block has an end.

    Raises ValidationError naming the field.
    """
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON_CHARACTERS:
        limit = {"limit": MAX_REASON_CHARACTERS}
        needed = _("Give a reason of 1 to %(limit)d characters; the person reads it.") % limit
        raise ValidationError({"reason": [needed]})
    if person.user is not None and person.user.pk == operator.pk:
        raise ValidationError({"person": [_("You cannot block yourself.")]})
    if person.network and not (until and until <= timezone.now() + LONGEST_OF_A_NETWORK):
        limit = {"limit": LONGEST_OF_A_NETWORK.days}
        raise ValidationError({"days": [_("A network changes hands: say for how many days, 1 to %(limit)d.") % limit]})
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


def block_of(actor: Actor, network_digest: str = "") -> Block | None:
    """What keeps this actor, or everybody of the network, from giving anything now."""
    if not Block.objects.filter(lifted_at=None).exists():
        # Asked with everything that is given, and there is hardly ever any.
        return None
    met = Q(pk__in=[])
    if actor.user is not None or actor.visitor is not None:
        met |= Q(**actor.ownership())
    if network_digest:
        met |= Q(network_digest=network_digest)
    in_force = Q(until__isnull=True) | Q(until__gt=timezone.now())
    return Block.objects.filter(met, in_force, lifted_at=None).first()


def require_not_blocked(subject: Subject) -> None:
    """Raises Blocked, in the block's words, when who gave this may give nothing. Withdrawing stays free."""
    if subject.is_withdrawn:
        return
    block = block_of(Actor(user=subject.owner, visitor=subject.visitor), subject.network_digest)
    if block is None:
        return
    said = {"reason": block.reason, "until": f"{block.until:%Y-%m-%d %H:%M} UTC" if block.until else ""}
    if block.until:
        raise Blocked(_("You cannot give anything at the moment: %(reason)s (This ends on %(until)s.)") % said)
    raise Blocked(_("You cannot give anything at the moment: %(reason)s") % said)


def quarantine_contributor(operator: User, person: Person, *, release: bool = False) -> int:
    """Take all of theirs out of the queue, or let them back in, up to 500 at a time; how many it was."""
    return quarantine(operator, person.items(are_out=release), release=release)


def verdicts_of(reviewer: User) -> Sequence[int]:
    """The items with a verdict of theirs that counts, the newest first, up to 500."""
    live = Review.objects.filter(reviewer=reviewer, superseded_at=None).exclude(kind=Kind.GOLD)
    # What a contributor withdrew is closed, whatever was said of it.
    live = live.exclude(item__state=ItemState.WITHDRAWN)
    return list(live.order_by("-id").values_list("item_id", flat=True)[:MOST_ITEMS])


def revert_reviewer(operator: User, reviewer: User) -> int:
    """Set aside all verdicts of a reviewer who is not to be trusted; the items wait anew. How many it were."""
    turns = in_turns(verdicts_of(reviewer))
    return sum(revert_verdicts(operator, reviewer, item_id) for turn in turns for item_id in turn)
