"""Replays: a limitation's prompts asked of another variant, as ordinary runs of the maintainer who asked."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.engine import Message
from inference.sampling_params import InvalidParameter, SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.catalog.models import Variant
from portal.playground.models import Generation
from portal.playground.services import require_room, start_generation
from portal.reviews.models import Limitation, Replay, ReplayRun
from portal.reviews.models.history import record_event

logger = logging.getLogger(__name__)

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
    """Start what is not started yet; how many were. Each run's key follows from its row: asked twice, it runs once.

    What there is no room for now is asked by workers within the next hour.
    """
    waiting = replay.runs.filter(generation__isnull=True).select_related("original").order_by("pk")
    return _ask_each(maintainer, replay, list(waiting), timezone.now() + TRIED_FOR)


def continue_replays() -> int:
    """Start what waited for room among its maintainer's runs; how many were."""
    waiting = (
        ReplayRun.objects.filter(generation__isnull=True, tried_until__gt=timezone.now())
        .select_related("original", "replay__asked_by", "replay__variant__card")
        .order_by("replay_id", "pk")
    )
    started = 0
    for _replay_id, group in groupby(waiting, attrgetter("replay_id")):
        runs = list(group)
        replay, until = runs[0].replay, runs[0].tried_until
        maintainer = replay.asked_by
        if maintainer is None or until is None or not (maintainer.is_active and maintainer.has_role(Role.MAINTAINER)):
            continue
        try:
            # Looked at first: a start that is refused counts towards the maintainer's own rate all the same.
            require_room(Actor(user=maintainer))
            started += _ask_each(maintainer, replay, runs, until)
        except LimitExceeded:
            continue
        except Exception:
            logger.exception("Replay %s does not go on; the others do", replay.pk)
    return started


def _ask_each(maintainer: User, replay: Replay, runs: Sequence[ReplayRun], until: datetime) -> int:
    for place, run in enumerate(runs):
        row = ReplayRun.objects.filter(pk=run.pk)
        try:
            generation = _ask(maintainer, replay, run.original, uuid.uuid5(replay.pk, str(run.original_id)))
        except LimitExceeded as error:
            # The others would meet the same limit.
            rest = ReplayRun.objects.filter(pk__in=[each.pk for each in runs[place:]], generation__isnull=True)
            # And what another worker began meanwhile has no problem.
            rest.update(problem=str(error)[:300], tried_until=until)
            return place
        except (ValidationError, PermissionDenied, InvalidParameter) as error:
            said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            row.update(problem=said[:300], tried_until=None)
        else:
            row.update(generation=generation, problem="", tried_until=None)
    return len(runs)


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
