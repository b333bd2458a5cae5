"""`Idempotency-Key`: a POST that is sent again, as after a lost answer, is carried out once.

The key's row and what the POST does are one transaction, so there is never one without the other: whoever sends the
same key at the same moment waits, and a refused or broken request leaves its key unused. What is done to many rows is
several transactions, each of which leaves with the key what is still to do: SQLite has one writer at a time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.request import Request

from portal.accounts.actors import Actor
from portal.accounts.writing_turns import in_turns, let_others_write, rows_of_a_turn
from portal.api.models import KEPT, MAX_KEY_CHARACTERS, IdempotencyKey
from portal.api.problems import FieldError, Problem

HEADER: Final = "Idempotency-Key"
Prepared = TypeVar("Prepared")
Found = TypeVar("Found")
# Visible ASCII: with or without the quotation marks of a structured field.
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
    return _do(request, actor, _nothing, _nothing, lambda _none: act())


def do_to_once(request: Request, actor: Actor, find: Callable[[], Found], act: Callable[[Found], Done]) -> Done:
    """As `do_once`, to something that `find` looks up in the same transaction and that `act` is given.

    Where it is not there, that is what is raised, also under a key that belongs to another request.
    """
    return _do(request, actor, find, _nothing, lambda _none: act(find()))


def do_prepared_once(
    request: Request, actor: Actor, prepare: Callable[[], Prepared], act: Callable[[Prepared], Done]
) -> Done:
    """As `do_once`, of something of which `prepare` writes nothing and takes a while: it is outside the transaction."""
    return _do(request, actor, _nothing, prepare, act)


def do_many_once(
    request: Request, actor: Actor, plan: Callable[[], Sequence[int]], act: Callable[[Sequence[int]], int]
) -> Done:
    """As `do_once`, of the same thing done to many rows, a few in a transaction; `act` says how many it changed.

    `plan` writes nothing and says which rows. Those that are still to do stand with the key, and leave it in the very
    transaction that does them: a request that is sent again after the first one broke off goes on where that stopped.
    """
    key = _key_of(request)
    if key is None:
        return Done(HTTPStatus.OK, str(sum(map(act, in_turns(plan())))))
    kept, is_new = _used(actor, key), False
    if kept is None:
        rows = list(plan())
        with transaction.atomic():
            digest = _digest(request.data)
            kept, is_new = _take(actor, key, request, digest=digest, status=HTTPStatus.OK, made="0", waiting=rows)
    if not is_new:
        _require_same(kept, request, _nothing)
    while kept.waiting:
        kept = _do_turn(kept, act)
        if kept.waiting:
            let_others_write()
    return Done(kept.status, kept.made, is_repeated=not is_new)


def forget_keys() -> int:
    """Delete the keys whose day is over; how many there were."""
    return IdempotencyKey.objects.filter(_is_over()).delete()[0]


def _do(
    request: Request,
    actor: Actor,
    find: Callable[[], object],
    prepare: Callable[[], Prepared],
    act: Callable[[Prepared], Done],
) -> Done:
    key = _key_of(request)
    if key is None:
        return act(prepare())
    if (kept := _used(actor, key)) is not None:
        return _earlier(kept, request, find)
    prepared = prepare()
    with transaction.atomic():
        kept, is_new = _take(actor, key, request)
        if not is_new:
            return _earlier(kept, request, find)
        done = act(prepared)
        # Nobody reads the body before `act` does: what it is about may not be there, whatever the body says.
        columns = {"status": done.status, "made": done.made, "digest": _digest(request.data)}
        IdempotencyKey.objects.filter(pk=kept.pk).update(**columns)
    return done


def _nothing() -> None:
    """There is nothing to find, or to prepare."""


def _is_over() -> Q:
    """A day, and another one for what somebody may be doing the rest of at this moment."""
    now = timezone.now()
    return Q(created_at__lt=now - KEPT, waiting=[]) | Q(created_at__lt=now - 2 * KEPT)


def _key_of(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        limit = _("Must be 1 to %d visible ASCII characters.") % MAX_KEY_CHARACTERS
        raise Problem("invalid-request", f"{HEADER}: {limit}", (FieldError(limit, parameter=HEADER),))
    return key


def _used(actor: Actor, key: str) -> IdempotencyKey | None:
    return IdempotencyKey.objects.filter(owner=actor.user, key=key, created_at__gte=timezone.now() - KEPT).first()


def _take(actor: Actor, key: str, request: Request, **more: Any) -> tuple[IdempotencyKey, bool]:
    """The key's row, and whether it is new: another request may have been first. Call inside a transaction."""
    assert actor.user is not None
    own = IdempotencyKey.objects.filter(owner=actor.user)
    own.filter(_is_over()).delete()
    try:
        with transaction.atomic():
            return own.create(owner=actor.user, key=key, address=request.path, **more), True
    except IntegrityError:
        return own.get(key=key), False


def _do_turn(kept: IdempotencyKey, act: Callable[[Sequence[int]], int]) -> IdempotencyKey:
    """The next few rows; whoever sends the same key meanwhile does those after them."""
    with transaction.atomic():
        kept = IdempotencyKey.objects.select_for_update().get(pk=kept.pk)
        size = rows_of_a_turn()
        turn, kept.waiting = kept.waiting[:size], kept.waiting[size:]
        kept.made = str(int(kept.made) + act(turn))
        kept.save(update_fields=["waiting", "made"])
    return kept


def _earlier(kept: IdempotencyKey, request: Request, find: Callable[[], object]) -> Done:
    _require_same(kept, request, find)
    return Done(kept.status, kept.made, is_repeated=True)


def _require_same(kept: IdempotencyKey, request: Request, find: Callable[[], object]) -> None:
    if kept.address == request.path and kept.digest == _digest(request.data):
        return
    find()
    raise Problem(
        "idempotency-key-reused",
        _("This key belongs to another request. Send a new key with a new request."),
        (FieldError(_("Was used for another request."), parameter=HEADER),),
    )


def _digest(body: Any) -> str:
    """Of the values: the order of an object's members and white space say nothing."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
