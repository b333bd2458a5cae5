"""What somebody may run in 24 hours: counted from the rows themselves, per visitor, account and API token."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, DateTimeField, Min, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _

from portal.accounts.actor_rows import RowsOfActor
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded, check_network_rate
from portal.playground.models import ACTIVE_STATES, Generation
from portal.playground.signals import runs_kept_apart
from portal.prepared_query import Given, Row

WINDOW: Final = timedelta(hours=24)


class Holder(StrEnum):
    """Whose quota it is."""

    VISITOR = "visitor"
    ACCOUNT = "account"
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Quota:
    """What one holder used within the last 24 hours, of what is allowed; an allowance of 0 is no limit.

    Tokens are those read and written, as the runs' figures show them; a run under way counts with its max tokens.
    """

    holder: Holder
    runs_used: int
    runs_allowed: int
    tokens_used: int
    tokens_allowed: int
    # When the oldest counted run is counted no more.
    frees_at: datetime | None

    @property
    def runs_left(self) -> int | None:
        return max(0, self.runs_allowed - self.runs_used) if self.runs_allowed else None

    @property
    def tokens_left(self) -> int | None:
        return max(0, self.tokens_allowed - self.tokens_used) if self.tokens_allowed else None

    def with_run(self, max_tokens: int) -> Quota:
        """As it stands once a run of so many tokens has begun."""
        return replace(
            self,
            runs_used=self.runs_used + 1,
            tokens_used=self.tokens_used + max_tokens,
            frees_at=self.frees_at or timezone.now() + WINDOW,
        )

    @property
    def is_used_up(self) -> bool:
        return self.runs_left == 0 or self.tokens_left == 0

    @property
    def is_low(self) -> bool:
        """A tenth or less is left."""
        return _is_low(self.runs_left, self.runs_allowed) or _is_low(self.tokens_left, self.tokens_allowed)

    @property
    def frees_in_s(self) -> int:
        if self.frees_at is None:
            return 1
        return max(1, math.ceil((self.frees_at - timezone.now()).total_seconds()))


def _is_low(left: int | None, allowed: int) -> bool:
    return left is not None and 10 * left <= allowed


def read_quotas(actor: Actor) -> tuple[Quota, ...]:
    """The actor's quotas as they stand, that of their API token first; a stranger has used nothing yet."""
    counted = _uses_of(actor)
    if actor.user is not None:
        allowed = (settings.ACCOUNT_RUNS_PER_DAY, settings.ACCOUNT_TOKENS_PER_DAY)
        own = _quota(Holder.ACCOUNT, counted, *allowed)
    else:
        allowed = (settings.VISITOR_RUNS_PER_DAY, settings.VISITOR_TOKENS_PER_DAY)
        own = _quota(Holder.VISITOR, counted, *allowed)
    if actor.api_token is None:
        return (own,)
    # What a token started belongs to its owner, so its use is a part of the account's.
    by_token = [use for use in counted if use.token_id == actor.api_token.pk]
    allowed = (settings.API_TOKEN_RUNS_PER_DAY, settings.API_TOKEN_TOKENS_PER_DAY)
    return (_quota(Holder.TOKEN, by_token, *allowed), own)


def require_quota(actor: Actor) -> tuple[Quota, ...]:
    """As `read_quotas`, where the actor's starts wait for each other. Raises LimitExceeded when nothing is left."""
    quotas = read_quotas(actor)
    for quota in quotas:
        if quota.is_used_up:
            name = "runs_per_day" if quota.runs_left == 0 else "tokens_per_day"
            raise LimitExceeded(name, quota.frees_in_s, _refusal(quota))
    if actor.user is None and settings.VISITOR_RUNS_PER_DAY:
        # Who is anonymous can drop the cookie, and with it the rows that count.
        check_network_rate(actor, "runs_per_day", f"{settings.VISITOR_RUNS_PER_DAY}/day")
    return quotas


def _refusal(quota: Quota) -> str:
    words = {
        "runs": f"{quota.runs_allowed:,}",
        "tokens": f"{quota.tokens_allowed:,}",
        "time": timezone.localtime(quota.frees_at).strftime("%H:%M %Z") if quota.frees_at else "",
        "wait": timeuntil(quota.frees_at) if quota.frees_at else "",
    }
    if quota.runs_left == 0:
        sentence = _("You have used the %(runs)s runs of 24 hours. The oldest count no more in %(wait)s (%(time)s).")
    else:
        sentence = _(
            "You have used the %(tokens)s tokens of 24 hours. The oldest count no more in %(wait)s (%(time)s)."
        )
    return sentence % words


@dataclass(frozen=True, slots=True)
class _Use:
    """What runs of one way of asking add up to."""

    token_id: uuid.UUID | None
    runs: int
    tokens: int
    oldest: datetime


_under_way: Final = RowsOfActor(
    lambda own: (
        Generation.objects.filter(own, state__in=ACTIVE_STATES)
        .order_by()
        .values("state")
        .annotate(runs=Count("pk"))
        .values_list("runs")
    ),
    "conversation__",
)


def count_under_way(actor: Actor) -> int:
    """How many runs of the actor's own conversations have not ended; a stranger has none."""
    return sum(runs for (runs,) in _under_way(actor))


def _uses_of(actor: Actor) -> list[_Use]:
    since = timezone.now() - WINDOW
    rows = _own_uses(actor, since=since)
    # One look each: an OR of two ways to the conversations goes by no index. Most actors keep nothing apart.
    for _by, keys in runs_kept_apart.send(Actor, actor=actor):
        if keys is not None:
            rows += _uses(Q(conversation__visitor__in=keys, created_at__gt=since))
    # PostgreSQL adds large integers up to a decimal.
    return [_Use(token_id, runs, int(tokens), oldest) for token_id, runs, tokens, oldest in rows]


def _uses(which: Q) -> QuerySet[Any, Row]:
    """By the API token that started them, None for those of a browser: runs, tokens, the oldest one's moment."""
    of_tokens = Generation.objects.filter(which).order_by().values("api_token")
    sums = {"runs": Count("pk"), "tokens": Sum("counted_tokens"), "oldest": Min("created_at")}
    return of_tokens.annotate(**sums).values_list("api_token", *sums)


_own_uses: Final = RowsOfActor(
    lambda own: _uses(own & Q(created_at__gt=Given("since", DateTimeField()))), "conversation__"
)


def _quota(holder: Holder, uses: Sequence[_Use], runs_allowed: int, tokens_allowed: int) -> Quota:
    return Quota(
        holder=holder,
        runs_used=sum(use.runs for use in uses),
        runs_allowed=runs_allowed,
        tokens_used=sum(use.tokens for use in uses),
        tokens_allowed=tokens_allowed,
        frees_at=min(use.oldest for use in uses) + WINDOW if uses else None,
    )
