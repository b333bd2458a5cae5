"""What a run counts for in its quota follows from its row alone, whatever the row says."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone

from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation, State

pytestmark = [pytest.mark.django_db, pytest.mark.database]

MAX_TOKENS = {"max_tokens": 77}
USED = {"prompt_tokens": 5, "completion_tokens": 7}
HUGE = 2**31 - 1


@pytest.mark.parametrize(
    ("state", "params", "usage", "counted"),
    [
        (State.QUEUED, MAX_TOKENS, {}, 77),
        (State.RUNNING, MAX_TOKENS, USED, 77),
        (State.SUCCEEDED, MAX_TOKENS, USED, 12),
        (State.FAILED, MAX_TOKENS, {}, 0),
        (State.CANCELLED, MAX_TOKENS, {"prompt_tokens": 5}, 5),
        (State.QUEUED, {}, {}, 0),
        # As much as an upstream may name.
        (State.SUCCEEDED, MAX_TOKENS, {"prompt_tokens": HUGE, "completion_tokens": HUGE}, 2 * HUGE),
    ],
)
def test_under_way_it_is_all_that_may_be_written_and_then_what_was_used(
    state: State, params: dict[str, Any], usage: dict[str, Any], counted: int, variant: Variant
) -> None:
    run = Generation.objects.create(
        conversation=Conversation.objects.create(visitor=uuid.uuid4()),
        variant=variant, prompt="p", messages=[], params=MAX_TOKENS,
    )  # fmt: skip
    assert run.counted_tokens == 77
    Generation.objects.filter(pk=run.pk).update(
        state=state, params=params, usage=usage, claimed_by="w", lease_expires_at=timezone.now(),
        finished_at=None if state in {State.QUEUED, State.RUNNING} else timezone.now(),
    )  # fmt: skip
    assert Generation.objects.values_list("counted_tokens", flat=True).get(pk=run.pk) == counted
