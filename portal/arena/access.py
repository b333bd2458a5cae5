"""Load or 404: what is not the actor's own does not exist for them."""

from __future__ import annotations

import uuid

from django.http import Http404

from portal.accounts.actors import Actor
from portal.arena.models import Contest, Kind, Reply
from portal.arena.queries import latest_replies
from portal.playground.models import Generation


def get_contest(actor: Actor, contest_id: uuid.UUID, kind: Kind) -> Contest:
    """The actor's own contest of this kind, with its pool. Raises Http404."""
    contest = Contest.objects.select_related("pool").filter(actor.owns(), pk=contest_id, kind=kind).first()
    if contest is None:
        raise Http404
    return contest


def get_reply(contest: Contest, turn: int, letter: str) -> Reply:
    """One reply of the contest, known by its turn and its side: runs' ids are not told while a battle is blind."""
    reply = (
        Reply.objects.select_related(
            "contender__variant__card", "generation__conversation", "generation__variant__card"
        )
        .filter(contender__contest=contest, contender__position="abcd".find(letter.lower()), turn=turn)
        .first()
    )
    if reply is None:
        raise Http404
    return reply


def get_battle_runs(actor: Actor, contest_id: uuid.UUID) -> list[Generation]:
    """The two runs of the latest turn of the actor's own battle, for its stream alone."""
    runs = [reply.generation for reply in latest_replies(get_contest(actor, contest_id, Kind.BATTLE))]
    if len(runs) != 2:
        raise Http404
    return runs
