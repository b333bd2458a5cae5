"""Who follows which card, and what they hear of: following, and events that reach each follower's mail once."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.db import transaction
from django.db.models import QuerySet

from portal.accounts.models import User
from portal.catalog.mailing import dispatch_soon
from portal.catalog.models import CardEvent, EventKind, EventMail, Follow, ModelCard

MAX_TITLE: Final = 300
UNSUBSCRIBE_SALT: Final = "catalog.unsubscribe"
_SPACES: Final = re.compile(r"\s+")


def follow_card(card: ModelCard, user: User) -> None:
    """Following twice is following."""
    Follow.objects.get_or_create(card=card, user=user)


def unfollow_card(card: ModelCard, user: User) -> None:
    """Nothing more comes, not even what waits to be sent."""
    Follow.objects.filter(card=card, user=user).delete()


def follows(card: ModelCard, user: User | AnonymousUser) -> bool:
    return isinstance(user, User) and Follow.objects.filter(card=card, user=user).exists()


def followed_cards(user: User) -> QuerySet[Follow]:
    """What somebody follows, by name, with the cards."""
    return Follow.objects.filter(user=user).select_related("card").order_by("card__owner_name", "card__slug")


def record_card_event(
    card: ModelCard, kind: EventKind, key: str, *, title: str, address: str, by: User | None = None
) -> CardEvent | None:
    """Tell feeds and followers of something that happened to a card; None where `key` was told before.

    Call inside the transaction of what happened. `by` did it, and is not told.
    """
    with transaction.atomic():
        event, is_new = CardEvent.objects.get_or_create(
            card=card, kind=kind, key=key[:120], defaults={"title": one_line(title), "address": address[:300]}
        )
        if not is_new:
            return None
        followers = Follow.objects.filter(card=card, user__is_active=True).exclude(user__email="")
        if by is not None:
            followers = followers.exclude(user=by)
        mails = [EventMail(event=event, user_id=user_id) for user_id in followers.values_list("user_id", flat=True)]
        EventMail.objects.bulk_create(mails, batch_size=500, ignore_conflicts=True)
        if mails:
            dispatch_soon()
    return event


def one_line(text: str) -> str:
    """Without control characters, which neither a mail's header nor a feed can hold."""
    plain = "".join(" " if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} else each for each in text)
    return _SPACES.sub(" ", plain).strip()[:MAX_TITLE]


def unsubscribe_token(card: ModelCard, user: User) -> str:
    """What a mail's link carries: who stops following what, and nothing else may be done with it."""
    return signing.dumps([card.pk, user.pk], salt=UNSUBSCRIBE_SALT)


def read_unsubscribe_token(token: str) -> tuple[ModelCard, User] | None:
    """The card and the person that a link is about; None for one that we did not make, or when one of them is gone."""
    try:
        said: Any = signing.loads(token, salt=UNSUBSCRIBE_SALT)
        card_id, user_id = said
    except (signing.BadSignature, TypeError, ValueError):
        return None
    card = ModelCard.objects.filter(pk=card_id).first()
    user = User.objects.filter(pk=user_id).first()
    return (card, user) if card is not None and user is not None else None
