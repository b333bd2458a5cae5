"""Vote on what a contest showed: once on each turn, with everything that a ranking reads, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.arena.identity import find_identity
from portal.arena.models import Comparison, Contest, Kind, Outcome, VoidReason, Vote
from portal.arena.prompt_kinds import category_of, hardness_of, language_of, prompt_digest
from portal.arena.queries import Turn, turns_of
from portal.arena.signals import vote_given
from portal.arena.style_counts import count_style
from portal.arena.tasks import refresh_rankings_soon


class AlreadyVoted(ValidationError):
    """Another vote on the same answers was quicker."""


class NotVotable(ValidationError):
    """An answer is missing, or is not there yet."""


def vote_on_battle(actor: Actor, contest: Contest, outcome: Outcome) -> Vote:
    """Vote once, and see the names.

    Raises AlreadyVoted when a vote was quicker, NotVotable while an answer is missing, and LimitExceeded.
    """
    check_rate(actor, "votes", settings.VOTE_RATE)
    turns = turns_of(contest)
    _require_votable(turns[-1] if turns else None)
    about = _about(contest, turns) | {"network_digest": actor.network_digest}
    with transaction.atomic():
        try:
            with transaction.atomic():
                [vote] = _record(contest, turns, [(0, 1, outcome)], about)
        except IntegrityError:
            raise AlreadyVoted({"outcome": [_("You have voted on this battle already.")]}) from None
        contest.reveal()
        refresh_rankings_soon()
    return vote


def vote_side_by_side(
    actor: Actor, contest: Contest, turn_number: int, verdict: int | Outcome, reasons: Sequence[str] = ()
) -> list[Vote]:
    """Say which answer of a turn is the best (its position), or that they are equally good or all bad.

    The best one wins a comparison with each of the others. Raises as `vote_on_battle` does.
    """
    check_rate(actor, "votes", settings.VOTE_RATE)
    turns = [turn for turn in turns_of(contest) if turn.number <= turn_number]
    turn = turns[-1] if turns and turns[-1].number == turn_number else None
    _require_votable(turn)
    positions = [reply.contender.position for reply in turn.replies] if turn is not None else []
    if isinstance(verdict, Outcome):
        said = [(one, other, verdict) for one, other in combinations(positions, 2)]
    elif verdict in positions:
        said = [
            (min(verdict, other), max(verdict, other), Outcome.A if verdict < other else Outcome.B)
            for other in positions
            if other != verdict
        ]
    else:
        raise ValidationError({"verdict": [_("Choose one of the answers.")]})
    about = _about(contest, turns) | {"reasons": list(reasons), "network_digest": actor.network_digest}
    try:
        with transaction.atomic():
            return _record(contest, turns, said, about)
    except IntegrityError:
        raise AlreadyVoted({"verdict": [_("You have voted on this turn already.")]}) from None


def _require_votable(turn: Turn | None) -> None:
    if turn is None or turn.is_active:
        raise NotVotable({"outcome": [_("Both answers have to be there before you vote.")]})
    if not turn.is_votable:
        raise NotVotable({"outcome": [_("An answer is missing, so there is nothing to compare.")]})


def _about(contest: Contest, turns: Sequence[Turn]) -> dict[str, Any]:
    """A vote's columns on what was asked. Outside of any transaction: the classifier takes a second to load."""
    prompts = [turn.prompt for turn in turns]
    return {
        "turns": len(turns),
        "language": language_of(prompts),
        "category": category_of(prompts),
        "hardness": hardness_of(prompts),
        "prompt_digest": prompt_digest(prompts),
        "void_reason": (_void_reason(contest, turns) or "") if contest.kind == Kind.BATTLE else "",
    }


def _record(
    contest: Contest, turns: Sequence[Turn], said: Sequence[tuple[int, int, Outcome]], about: dict[str, Any]
) -> list[Vote]:
    """A comparison and its vote for each (left, right, outcome) of the last of `turns`."""
    last = {reply.contender.position: reply for reply in turns[-1].replies}
    votes = []
    for left, right, outcome in said:
        one, other = last[left], last[right]
        comparison = Comparison.objects.create(
            contest=contest,
            kind=contest.kind,
            owner_id=contest.owner_id,
            visitor=contest.visitor,
            generation_a=one.generation,
            generation_b=other.generation,
            turn=turns[-1].number,
        )
        vote = Vote.objects.create(
            comparison=comparison,
            kind=contest.kind,
            pool=contest.pool,
            variant_a=one.contender.variant,
            variant_b=other.contender.variant,
            outcome=outcome,
            owner_id=contest.owner_id,
            visitor=contest.visitor,
            style_a=_style(turns, left),
            style_b=_style(turns, right),
            **about,
        )
        vote_given.send(sender=Vote, vote=vote)
        votes.append(vote)
    return votes


def _style(turns: Sequence[Turn], position: int) -> dict[str, int]:
    answers = [
        reply.generation.output for turn in turns for reply in turn.replies if reply.contender.position == position
    ]
    return count_style("\n\n".join(answers))


def _void_reason(contest: Contest, turns: Sequence[Turn]) -> VoidReason | None:
    answers = [reply.generation.output for turn in turns for reply in turn.replies]
    cards = {reply.contender.variant.card for turn in turns for reply in turn.replies}
    names = [name for card in cards for name in (card.owner_name, card.slug, card.title)]
    phrases = contest.pool.identity_words.splitlines() if contest.pool is not None else []
    return find_identity([turn.prompt for turn in turns], answers, names, phrases)
