"""Take votes back by their own ids: also those whose texts are deleted, and all at once."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.arena.models import Vote
from portal.arena.services import withdraw_vote
from portal.arena.tasks import refresh_rankings_soon


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
    """Make a tombstone of every vote of the actor; how many were none yet."""
    with transaction.atomic():
        return _withdraw(list(Vote.objects.select_for_update().filter(actor.owns(), withdrawn_at=None)))


def _withdraw(votes: list[Vote]) -> int:
    with transaction.atomic():
        withdrawn = sum(vote.withdraw() for vote in votes)
        if withdrawn:
            refresh_rankings_soon()
    return withdrawn
