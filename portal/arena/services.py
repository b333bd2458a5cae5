"""Begin contests, send their turns and stop them: each one transaction, all contenders or none."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded, check_rate
from portal.arena.models import (
    MAX_CONTENDERS,
    Contender,
    Contest,
    Kind,
    Pool,
    Reply,
)
from portal.arena.pairing import draw_sides
from portal.arena.queries import contenders_of, latest_replies, pairs_of
from portal.catalog.access import GateClosed
from portal.catalog.models import Variant
from portal.playground.models import ACTIVE_STATES, Conversation, Generation, State
from portal.playground.quota import require_quota
from portal.playground.services import cancel_generation, start_generation
from portal.playground.variant_defaults import default_parameters

MAX_TURNS: Final = 10
RETRY_WHEN_BUSY_S: Final = 5
TITLE_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """A variant and the parameters that it answers with."""

    variant: Variant
    params: SamplingParams


def begin_side_by_side(
    actor: Actor, entries: Sequence[Entry], *, prompt: str, system_prompt: str = "", request_key: uuid.UUID
) -> Contest:
    """Send a prompt to two to four variants or parameter sets. The same key again returns the contest that it began.

    Raises ValidationError naming the field and the limit, and LimitExceeded.
    """
    if not 2 <= len(entries) <= MAX_CONTENDERS:
        raise ValidationError({"contenders": [_("Compare two to %(most)d answers.") % {"most": MAX_CONTENDERS}]})
    return _begin(actor, Kind.SIDE_BY_SIDE, None, entries, prompt, system_prompt, request_key)


def begin_battle(actor: Actor, pool: Pool, *, prompt: str, request_key: uuid.UUID) -> Contest:
    """Draw two variants of the pool and send both the prompt. Raises as `begin_side_by_side` does."""
    earlier = _earlier_contest(actor, request_key)
    if earlier is not None:
        return earlier
    weights = pairs_of(pool) if pool.is_open else {}
    if not weights:
        raise ValidationError({"pool": [_("No two variants of this pool can run here at present.")]})
    check_rate(actor, "battles", settings.BATTLE_RATE)
    left, right = draw_sides(weights)
    variants = Variant.objects.select_related("card").in_bulk([left, right])
    defaults = [SamplingParams.from_mapping(default_parameters(variants[key])) for key in (left, right)]
    # A limit of its own would show in an answer's length.
    max_tokens = min(each.max_tokens for each in defaults)
    entries = [
        Entry(variants[key], replace(params, max_tokens=max_tokens, seed=None))
        for key, params in zip((left, right), defaults, strict=True)
    ]
    return _begin(actor, Kind.BATTLE, pool, entries, prompt, "", request_key)


def send_turn(actor: Actor, contest: Contest, *, prompt: str, request_key: uuid.UUID) -> None:
    """Send all contenders the next prompt. The same key again changes nothing. Raises as `begin_side_by_side` does."""
    if Reply.objects.filter(generation__request_key=_run_key(request_key, 0), contender__contest=contest).exists():
        return
    last = latest_replies(contest)
    turn = last[0].turn + 1 if last else 1
    if turn > MAX_TURNS:
        raise ValidationError({"prompt": [_("A comparison has at most %(most)d turns.") % {"most": MAX_TURNS}]})
    if contest.kind == Kind.BATTLE and not contest.is_blind:
        raise ValidationError({"prompt": [_("You have voted and seen the names. Begin a new battle.")]})
    if any(reply.generation.state == State.FAILED for reply in last):
        raise ValidationError({"prompt": [_("An answer failed. Try it again before you go on.")]})
    try:
        with transaction.atomic():
            _send(actor, contest, turn, prompt, request_key, parents=[reply.generation for reply in last])
    except IntegrityError:
        raise ValidationError({"prompt": [_("Another prompt was quicker. Reload the page.")]}) from None


def retry_reply(actor: Actor, contest: Contest, reply: Reply, *, request_key: uuid.UUID) -> None:
    """Run a failed answer again in its place; one that did not fail stays. Raises as `begin_side_by_side` does."""
    failed = reply.generation
    if failed.state != State.FAILED:
        return
    with transaction.atomic():
        again = _start(actor, contest, reply.contender, failed.prompt, failed.parent, request_key)
        if not reply.give_way_to(again):
            raise ValidationError({"prompt": [_("It is being tried again already. Reload the page.")]})


def stop_contest(contest: Contest) -> None:
    """Stop every answer that is still being written."""
    active = Generation.objects.filter(reply__contender__contest=contest, state__in=ACTIVE_STATES)
    for generation in active:
        cancel_generation(generation)


def _begin(
    actor: Actor,
    kind: Kind,
    pool: Pool | None,
    entries: Sequence[Entry],
    prompt: str,
    system_prompt: str,
    request_key: uuid.UUID,
) -> Contest:
    if earlier := _earlier_contest(actor, request_key):
        return earlier
    try:
        with transaction.atomic():
            contest = Contest.objects.create(
                kind=kind,
                pool=pool,
                request_key=request_key,
                sealed_as=uuid.uuid4() if kind == Kind.BATTLE else None,
                **actor.ownership(),
            )
            for position, entry in enumerate(entries):
                conversation = Conversation.objects.create(
                    title=" ".join(prompt.split())[:TITLE_CHARACTERS],
                    system_prompt=system_prompt,
                    is_listed=False,
                    **_runner(actor, contest).ownership(),
                )
                Contender.objects.create(
                    contest=contest,
                    position=position,
                    variant=entry.variant,
                    params=entry.params.as_mapping(),
                    conversation=conversation,
                )
            _send(actor, contest, 1, prompt, request_key, parents=[None] * len(entries))
    except IntegrityError:
        if earlier := _earlier_contest(actor, request_key):
            return earlier
        raise
    return contest


def _earlier_contest(actor: Actor, request_key: uuid.UUID) -> Contest | None:
    earlier = Contest.objects.filter(request_key=request_key).first()
    if earlier is not None and not Contest.objects.filter(actor.owns(), pk=earlier.pk).exists():
        raise ValidationError({"request_key": [_("This key was used already. Reload the page and send again.")]})
    return earlier


def _send(
    actor: Actor,
    contest: Contest,
    turn: int,
    prompt: str,
    request_key: uuid.UUID,
    parents: Sequence[Generation | None],
) -> None:
    for contender, parent in zip(contenders_of(contest), parents, strict=True):
        run_key = _run_key(request_key, contender.position)
        generation = _start(actor, contest, contender, prompt, parent, run_key)
        Reply.objects.create(contender=contender, turn=turn, generation=generation)
    if contest.kind == Kind.BATTLE:
        _require_one_battle_at_a_time(actor, contest)


def _start(
    actor: Actor,
    contest: Contest,
    contender: Contender,
    prompt: str,
    parent: Generation | None,
    run_key: uuid.UUID,
) -> Generation:
    if contest.is_blind:
        # The run's own limits count for the sealed visitor, who is new in every battle.
        check_rate(actor, "generations", settings.GENERATION_RATE)
        require_quota(actor)
    try:
        return start_generation(
            _runner(actor, contest),
            variant=contender.variant,
            prompt=prompt,
            params=SamplingParams.from_mapping(contender.params),
            conversation=contender.conversation,
            parent=parent,
            request_key=run_key,
        )
    except (GateClosed, ValidationError) as refusal:
        names_a_model = isinstance(refusal, GateClosed) or "variant" in getattr(refusal, "error_dict", {})
        if not (contest.is_blind and names_a_model):
            raise
        sentence = _("One of the two cannot run any more. Vote on what is there, or begin a new battle.")
        raise ValidationError({"prompt": [sentence]}) from None


def _runner(actor: Actor, contest: Contest) -> Actor:
    """Whose the runs are: nobody's that a browser could be, as long as the battle is blind."""
    if contest.sealed_as is None:
        return actor
    return Actor(visitor=contest.sealed_as, network=f"battle:{contest.pk}", api_token=actor.api_token)


def _run_key(request_key: uuid.UUID, position: int) -> uuid.UUID:
    return uuid.uuid5(request_key, str(position))


def _require_one_battle_at_a_time(actor: Actor, contest: Contest) -> None:
    """After the runs were written, in their transaction: of two battles at once, one is taken back."""
    others = Contest.objects.filter(actor.owns(), kind=Kind.BATTLE, revealed_at=None).exclude(pk=contest.pk)
    if Reply.objects.filter(contender__contest__in=others, generation__state__in=ACTIVE_STATES).exists():
        raise LimitExceeded(
            "concurrent_battles",
            RETRY_WHEN_BUSY_S,
            _("Another battle of yours is still being answered. Wait for it, or stop it."),
        )
