"""What the tests of the generation contract ask of every answer, and the types of their fixtures."""

from __future__ import annotations

from collections.abc import Callable

from portal.playground.models import Generation, State, TokenTrace
from tests.processes.scripted_backend import counted
from tests.processes.viewer import Screen, Viewer
from tests.processes.worker_process import WorkerProcess

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


def half_way(screen: Screen) -> bool:
    return "30 " in screen.text
