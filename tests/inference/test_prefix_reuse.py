"""What was computed once is not computed again, and no token changes for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.engine import GenerationRequest, Message
from inference.events import Finished
from inference.key_value_slots import KeyValueSlots, Place
from inference.prefix_archive import PrefixArchive, common_length
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CORPUS

SYSTEM = Message("system", " ".join(CORPUS))
EXAMPLE = torch.zeros(1, 1, 1, 2)
Filled = tuple[KeyValueSlots, PrefixArchive, Place]


@pytest.fixture(params=["llama", "gemma3"])
def engine(
    request: pytest.FixtureRequest, tiny_folder: FolderMaker, recorder: Recorder
) -> Iterator[TransformersEngine]:
    engine = load_engine(tiny_folder(request.param), listener=recorder, dtype="float32", threads=1)
    yield engine
    engine.close(0)


def _ask(engine: TransformersEngine, recorder: Recorder, name: str, *messages: Message, **params: Any) -> Finished:
    values = {"temperature": 0, "max_tokens": 20, "min_tokens": 20, **params}
    engine.submit(GenerationRequest(request_id=name, messages=messages, params=SamplingParams(**values)))
    ended = recorder.wait_for_end(name)
    assert isinstance(ended, Finished)
    return ended


def test_a_repeated_prompt_is_read_from_memory_and_answered_alike(
    engine: TransformersEngine, recorder: Recorder
) -> None:
    question = Message("user", "tell me a story")
    first = _ask(engine, recorder, "a", SYSTEM, question)
    second = _ask(engine, recorder, "b", SYSTEM, question)
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens == second.usage.prompt_tokens - 1
    assert [token.id for token in recorder.tokens("a")] == [token.id for token in recorder.tokens("b")]


def test_a_shared_system_prompt_is_read_once(engine: TransformersEngine, recorder: Recorder) -> None:
    _ask(engine, recorder, "a", SYSTEM, Message("user", "tell me a story"))
    fresh = _ask(engine, recorder, "b", SYSTEM, Message("user", "The quick brown fox"))
    assert 0 < fresh.usage.cached_tokens < fresh.usage.prompt_tokens - 5


def test_a_further_turn_reads_only_what_is_new(engine: TransformersEngine, recorder: Recorder) -> None:
    question = Message("user", "tell me a story")
    first = _ask(engine, recorder, "a", SYSTEM, question)
    turns = (SYSTEM, question, Message("assistant", recorder.text("a")), Message("user", "and then?"))
    second = _ask(engine, recorder, "b", *turns)
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 1


def test_reuse_never_changes_tokens_in_company(engine: TransformersEngine, recorder: Recorder) -> None:
    questions = [Message("user", text) for text in CORPUS]
    for number, question in enumerate(questions):
        engine.submit(_request(f"cold{number}", question))
    recorder.wait_for_end(*(f"cold{number}" for number in range(len(questions))))
    for number, question in enumerate(questions):
        engine.submit(_request(f"warm{number}", question))
    recorder.wait_for_end(*(f"warm{number}" for number in range(len(questions))))
    for number in range(len(questions)):
        cold = [token.id for token in recorder.tokens(f"cold{number}")]
        assert [token.id for token in recorder.tokens(f"warm{number}")] == cold
        ended = recorder.events(f"warm{number}")[-1]
        assert isinstance(ended, Finished)
        assert ended.usage.cached_tokens > 0


def _request(name: str, question: Message) -> GenerationRequest:
    params = SamplingParams(temperature=0, max_tokens=20, min_tokens=20)
    return GenerationRequest(request_id=name, messages=(SYSTEM, question), params=params)


@pytest.fixture
def filled() -> Filled:
    """Slots, their archive, and a slot that is taken."""
    slots = KeyValueSlots(budget=1_024, longest=512)
    archive = PrefixArchive(slots)
    place = slots.take(256)
    assert place is not None
    return slots, archive, place


def test_slots_have_precedence_over_the_archive(filled: Filled) -> None:
    slots, archive, place = filled
    slots.layer(place.capacity, 0, EXAMPLE)
    for first in range(5):
        archive.store(place, range(first, first + 150))
    assert archive.positions == 750
    assert slots.room == 18
    assert slots.take(512) is not None
    assert archive.positions <= 1_024 - 256 - 512
    assert archive.recall(range(4, 154))[1] == 150, "the most recent entry stays"


def test_an_entry_replaces_its_own_beginnings(filled: Filled) -> None:
    _slots, archive, place = filled
    archive.store(place, range(50))
    archive.store(place, range(80))
    archive.store(place, range(60))
    assert archive.positions == 80


def test_of_what_is_remembered_no_more_is_recalled_than_wanted(filled: Filled) -> None:
    _slots, archive, place = filled
    archive.store(place, range(80))
    for most, length in ((None, 80), (100, 80), (40, 40), (15, 0), (0, 0)):
        assert archive.recall(range(100), at_most=most)[1] == length


@given(first=st.lists(st.integers(0, 2), max_size=40), second=st.lists(st.integers(0, 2), max_size=40))
def test_the_common_length_is_the_first_difference(first: list[int], second: list[int]) -> None:
    expected = 0
    while expected < min(len(first), len(second)) and first[expected] == second[expected]:
        expected += 1
    assert common_length(tuple(first), tuple(second)) == expected
