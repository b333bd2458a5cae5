"""`Idempotency-Key`: a POST that is sent again, as after a lost answer, is carried out once.

The key's row and what the POST does are one transaction, so there is never one without the other: whoever sends the
same key at the same moment waits, and a refused or broken request leaves its key unused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from portal.accounts.actors import Actor
from portal.api.models import KEPT, MAX_KEY_CHARACTERS, IdempotencyKey
from portal.api.problems import FieldError, Problem

HEADER: Final = "Idempotency-Key"
# Visible ASCII: with or without the quotation marks of a structured field.
Prepared = TypeVar("Prepared")
KEY_PATTERN: Final = rf"^[\x21-\x7e]{{1,{MAX_KEY_CHARACTERS}}}$"
_KEY: Final = re.compile(KEY_PATTERN[:-1])


@dataclass(frozen=True, slots=True)
class Done:
    """What a POST came to: a status, and the id of what it made or changed."""

    status: int
    made: str
    is_repeated: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {"Idempotency-Replayed": "true"} if self.is_repeated else {}


def do_once(request: Request, actor: Actor, act: Callable[[], Done]) -> Done:
    """What `act` does; under a key that the request brings and that was used for the same, what was done then.

    Raises Problem: invalid-request for a key that is none, idempotency-key-reused for one that belongs to another
    request.
    """
    return do_prepared_once(request, actor, lambda: None, lambda _nothing: act())


def do_prepared_once(
    request: Request, actor: Actor, prepare: Callable[[], Prepared], act: Callable[[Prepared], Done]
) -> Done:
    """As `do_once`, of something of which `prepare` writes nothing and takes a while: it is outside the transaction."""
    key = request.headers.get(HEADER)
    if key is None:
        return act(prepare())
    if not _KEY.fullmatch(key):
        limit = _("Must be 1 to %d visible ASCII characters.") % MAX_KEY_CHARACTERS
        raise Problem("invalid-request", f"{HEADER}: {limit}", (FieldError(limit, parameter=HEADER),))
    assert actor.user is not None
    own = IdempotencyKey.objects.filter(owner=actor.user)
    expired = timezone.now() - KEPT
    if (kept := own.filter(key=key, created_at__gte=expired).first()) is not None:
        return _earlier(kept, request)
    prepared = prepare()
    with transaction.atomic():
        own.filter(created_at__lt=expired).delete()
        try:
            with transaction.atomic():
                kept = own.create(owner=actor.user, key=key, address=request.path, digest=_digest(request.data))
        except IntegrityError:
            return _earlier(own.get(key=key), request)
        done = act(prepared)
        own.filter(pk=kept.pk).update(status=done.status, made=done.made)
    return done


def forget_keys() -> int:
    """Delete the keys whose day is over; how many there were."""
    return IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _earlier(kept: IdempotencyKey, request: Request) -> Done:
    if (kept.address, kept.digest) != (request.path, _digest(request.data)):
        raise Problem(
            "idempotency-key-reused",
            _("This key belongs to another request. Send a new key with a new request."),
            (FieldError(_("Was used for another request."), parameter=HEADER),),
        )
    return Done(kept.status, kept.made, is_repeated=True)


def _digest(body: Any) -> str:
    """Of the values: the order of an object's members and white space say nothing."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
