"""Several workers go on with the same replays, each with a connection of its own: every prompt is asked once."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from portal.accounts.models import User
from portal.playground.models import ACTIVE_STATES, Generation
from portal.reviews.models import Limitation, ReplayRun, ReproductionRun
from portal.reviews.services.replays import continue_replays, start_replay
from tests.feedback.judgements import make_generation, make_variant
from tests.feedback.test_submitting_concurrently import at_once

pytestmark = pytest.mark.django_db(transaction=True)
RUNS, AT_A_TIME, WORKERS = 7, 2, 3


def test_each_prompt_is_asked_once_and_never_more_at_a_time_than_there_is_room_for(
    alice: User, maintainer: User, settings: Any
) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = AT_A_TIME
    settings.GENERATION_RATE = "100000/minute"
    limitation = Limitation.objects.create(card=make_variant().card, title="It names Sydney")
    for number in range(RUNS):
        ReproductionRun.objects.create(
            limitation=limitation, generation=make_generation(alice, prompt=f"Capital, number {number}?")
        )
    variant = make_variant(slug="next")
    start_replay(maintainer, limitation, variant, "exact")
    asked = Generation.objects.filter(variant=variant)
    under_way = asked.filter(state__in=ACTIVE_STATES)
    for _round in range(RUNS):
        assert under_way.count() <= AT_A_TIME
        under_way.update(state="succeeded", output="Canberra.", finished_at=timezone.now())
        results = at_once(*[continue_replays] * WORKERS)
        assert all(isinstance(result, int) for result in results), results
        begun = ReplayRun.objects.filter(generation__isnull=False)
        assert not begun.exclude(problem="", tried_until=None).exists(), "what is asked has no problem"
        if begun.count() == RUNS:
            break
    assert sorted(asked.values_list("prompt", flat=True)) == [f"Capital, number {number}?" for number in range(RUNS)]
    assert ReplayRun.objects.filter(generation__in=asked).values("generation").distinct().count() == RUNS
