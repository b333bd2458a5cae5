"""What the tests of the generation contract ask of every answer, and the types of their fixtures."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from portal.playground.models import Generation, State, TokenTrace
from tests.processes.scripted_backend import counted
from tests.processes.viewer import Screen, Viewer
from tests.processes.worker_process import WorkerProcess
from tests.services.installation import eventually

Start = Callable[..., WorkerProcess]
Send = Callable[[int], Generation]
Watch = Callable[[Generation], Viewer]


def assert_one_whole_answer(screen: Screen, generation: Generation, number: int) -> None:
    assert screen.text == counted(number)
    assert [event.type for event in screen.terminals] == ["finished"]
    generation.refresh_from_db()
    assert generation.state == State.SUCCEEDED
    assert generation.output == counted(number)
    tokens = TokenTrace.objects.get(generation=generation).tokens
    assert [token["id"] for token in tokens] == list(range(1, number + 1))


def lost_lease(generation: Generation, attempt: int = 1) -> None:
    """Let this attempt's lease run out, as time would, and wait until that is noticed."""

    def is_noticed() -> bool:
        # Again each time: a worker that stands still may have sent one renewal before.
        running = Generation.objects.filter(pk=generation.pk, attempt=attempt, state=State.RUNNING)
        return not running.update(lease_expires_at=timezone.now())

    eventually(is_noticed, 60, f"the loss of attempt {attempt} is noticed")


def half_way(screen: Screen) -> bool:
    return "30 " in screen.text
