"""Take votes back: those on a turn, one by its own id, also where the texts are deleted, and all at once."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.arena.models import Contest, Kind, Vote
from portal.arena.tasks import refresh_rankings_soon


def withdraw_vote(actor: Actor, contest: Contest, turn_number: int) -> int:
    """Take back what was said of a turn: tombstones stay, which no ranking, export or reviewer counts. How many votes.

    There is no second vote: the names are known by now. Withdrawing again changes nothing. Raises LimitExceeded.
    """
    check_rate(actor, "votes", settings.VOTE_RATE)
    with transaction.atomic():
        own = Vote.objects.select_for_update(of=("self",)).filter(actor.owns(), comparison__contest=contest)
        withdrawn = sum(vote.withdraw() for vote in own.filter(comparison__turn=turn_number))
        if withdrawn and contest.kind == Kind.BATTLE:
            refresh_rankings_soon()
    return withdrawn


def withdraw_own_vote(actor: Actor, vote_id: uuid.UUID) -> int:
    """Take back one of the actor's votes, and with it those that said the same of the turn's other answers; how many.

    Raises Vote.DoesNotExist when it is not the actor's own, and LimitExceeded.
    """
    vote = Vote.objects.filter(actor.owns()).select_related("comparison__contest").get(pk=vote_id)
    if vote.comparison is not None:
        return withdraw_vote(actor, vote.comparison.contest, vote.comparison.turn)
    check_rate(actor, "votes", settings.VOTE_RATE)
    return _withdraw([vote])


def withdraw_all_votes(actor: Actor) -> int:
    """Make a tombstone of every vote of the actor; how many were none yet.

    One by one: each moves counts that others move too, in the order of what it is about. What broke off is asked again.
    """
    live = Vote.objects.filter(actor.owns(), withdrawn_at=None).order_by("pk")
    return sum(_withdraw_one(vote_id) for vote_id in live.values_list("pk", flat=True))


def _withdraw_one(vote_id: uuid.UUID) -> int:
    with transaction.atomic():
        return _withdraw([Vote.objects.select_for_update().get(pk=vote_id)])


def _withdraw(votes: list[Vote]) -> int:
    with transaction.atomic():
        withdrawn = sum(vote.withdraw() for vote in votes)
        if withdrawn:
            refresh_rankings_soon()
    return withdrawn
