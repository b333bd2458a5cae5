"""Replays: a limitation's prompts asked of another variant, as ordinary runs of the maintainer who asked."""

from __future__ import annotations

import uuid
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation
from portal.playground.services import start_generation
from portal.reviews.models import Limitation, Replay, ReplayRun
from portal.reviews.models.history import record_event

MOST_RUNS: Final = 20


def start_replay(maintainer: User, limitation: Limitation, variant: Variant, rule: str, phrase: str = "") -> Replay:
    """Ask each reproduction's prompt of `variant`, with the parameters and what was said before it as they were.

    What cannot be asked now, with too many runs under way, stays in the replay with the reason and can be asked later.
    Raises ValidationError when there is nothing to ask.
    """
    originals = [each.generation for each in limitation.reproductions.select_related("generation")[:MOST_RUNS]]
    if not originals:
        raise ValidationError({"variant": [_("This limitation has no run that reproduces it, so there is no prompt.")]})
    with transaction.atomic():
        replay = Replay.objects.create(
            limitation=limitation, variant=variant, rule=rule, phrase=phrase.strip(), asked_by=maintainer
        )
        ReplayRun.objects.bulk_create(ReplayRun(replay=replay, original=original) for original in originals)
        record_event(limitation, "replayed", maintainer, variant=variant.model_id, rule=rule, runs=len(originals))
    ask_again(maintainer, replay)
    return replay


def ask_again(maintainer: User, replay: Replay) -> int:
    """Start what is not started yet; how many were. Each run's key follows from its row: asked twice, it runs once."""
    started = 0
    waiting = replay.runs.filter(generation__isnull=True).select_related("original")
    for run in waiting:
        try:
            generation = _ask(maintainer, replay, run.original, uuid.uuid5(replay.pk, str(run.original_id)))
        except (ValidationError, LimitExceeded) as error:
            problem = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            ReplayRun.objects.filter(pk=run.pk).update(problem=problem[:300])
            continue
        ReplayRun.objects.filter(pk=run.pk).update(generation=generation, problem="")
        started += 1
    return started


def judge_replay_run(maintainer: User, run: ReplayRun, is_flipped: bool | None) -> None:
    """A person's word on one answer; None takes it back."""
    with transaction.atomic():
        ReplayRun.objects.filter(pk=run.pk).update(judged=is_flipped, judged_by=maintainer)
        record_event(run.replay.limitation, "replay judged", maintainer, run=str(run.original_id), flipped=is_flipped)


def _ask(maintainer: User, replay: Replay, original: Generation, key: uuid.UUID) -> Generation:
    history = [Message(**message) for message in original.messages[:-1]]
    return start_generation(
        Actor(user=maintainer),
        variant=replay.variant,
        prompt=original.prompt,
        params=SamplingParams.from_mapping(original.params),
        history=history,
        request_key=key,
    )
