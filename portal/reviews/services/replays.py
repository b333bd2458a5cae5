"""Replays: a limitation's prompts asked of another variant, as ordinary runs of the maintainer who asked."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
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
TRIED_FOR: Final = timedelta(hours=1)


def start_replay(maintainer: User, limitation: Limitation, variant: Variant, rule: str, phrase: str = "") -> Replay:
    """Ask each reproduction's prompt of `variant`, with the parameters and what was said before it as they were.

    What cannot be asked now, with too many runs under way, stays in the replay with the reason and is asked later.
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
    waiting = replay.runs.filter(generation__isnull=True)
    for run in waiting.select_related("original"):
        try:
            generation = _ask(maintainer, replay, run.original, uuid.uuid5(replay.pk, str(run.original_id)))
        except LimitExceeded as error:
            # The others would meet the same limit.
            problem = f"{error} {_('It is tried again by itself for an hour.')}"
            waiting.update(problem=problem[:300])
            break
        except ValidationError as error:
            ReplayRun.objects.filter(pk=run.pk).update(problem=" ".join(error.messages)[:300])
            continue
        ReplayRun.objects.filter(pk=run.pk).update(generation=generation, problem="")
        started += 1
    return started


def continue_replays() -> int:
    """Start what waited for room among its maintainer's runs; how many were. It gives up after an hour."""
    recent = Replay.objects.filter(created_at__gte=timezone.now() - TRIED_FOR, asked_by__isnull=False)
    unfinished = recent.filter(runs__generation__isnull=True).distinct().select_related("asked_by", "variant")
    return sum(ask_again(replay.asked_by, replay) for replay in unfinished if replay.asked_by is not None)


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
