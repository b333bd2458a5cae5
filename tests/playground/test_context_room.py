"""How full the context is: counted or estimated, said as one types, and a choice when it is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.accounts.models import User
from portal.catalog.models import Backend, Relation, Variant
from portal.playground.context_room import Room, measure_context
from portal.playground.models import Generation, State
from portal.playground.prompt_messages import Overflow
from portal.playground.services import start_generation
from tests.inference.test_prompt_tokens import write_folder
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db

# One token a word, and one for each message's mark.
TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"


@pytest.fixture
def counted(tmp_path: Path, settings: Settings) -> Variant:
    """A variant of 20 tokens of context whose tokenizer is at hand."""
    settings.STEELYARD_HOME = tmp_path
    write_folder(tmp_path, TEMPLATE)
    return make_variant(source=".", facts={"context_length": 20}, defaults={"max_tokens": 4})


def test_room_is_enough_then_tight_then_full(counted: Variant) -> None:
    rooms = [
        measure_context(counted, [Message("user", "w " * words)], max_tokens=4).room
        for words in (1, 15, 16, 18, 19, 99)
    ]
    assert rooms == [Room.ENOUGH, Room.ENOUGH, Room.TIGHT, Room.TIGHT, Room.FULL, Room.FULL]


def test_an_adapters_prompt_is_counted_by_its_bases_tokenizer(counted: Variant) -> None:
    adapter = make_variant(
        slug="brief", source="none", relation=Relation.ADAPTER, base=counted, facts={"context_length": 20}
    )
    use = measure_context(adapter, [Message("user", "w " * 5)], max_tokens=4)
    assert (use.is_exact, use.prompt_tokens) == (True, 6)


def test_an_upstreams_prompt_is_an_estimate_and_refuses_nothing(alice: User) -> None:
    upstream = make_variant(
        "up/stream", backend=Backend.OPENAI, source="http://192.0.2.1/v1", facts={"context_length": 10}
    )
    use = measure_context(upstream, [Message("user", "x" * 350)], max_tokens=4)
    assert (use.is_exact, use.prompt_tokens, use.room) == (False, 105, Room.FULL)
    silent = make_variant("up/silent", backend=Backend.OPENAI, source="http://192.0.2.1/v1")
    assert measure_context(silent, [Message("user", "x")], max_tokens=4).room == Room.UNKNOWN
    start_generation(
        actor_of(alice), variant=upstream, prompt="x" * 350, params=SamplingParams(), overflow=Overflow.REFUSE
    )


def test_the_oldest_turns_are_left_out_only_as_far_as_needed_and_that_is_told(
    alice: User, alice_client: Client, counted: Variant
) -> None:
    conversation = make_conversation(alice, system_prompt="sys")
    turn = None
    for number in range(3):
        turn = add_turn(conversation, counted, turn, prompt=f"p{number}", output=f"a{number}")
        Generation.objects.filter(pk=turn.pk).update(
            messages=[{"role": "system", "content": "sys"}, *turn.messages[-5:]]
        )
    assert turn is not None
    turn.messages = [
        {"role": "user", "content": "p0"}, {"role": "assistant", "content": "a0"},
        {"role": "user", "content": "p1"}, {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "p2"},
    ]  # fmt: skip
    turn.save()
    params, prompt = SamplingParams(max_tokens=4), "w w w"

    def start(overflow: Overflow, words: str) -> Generation:
        return start_generation(
            actor_of(alice), variant=counted, prompt=words, params=params, conversation=conversation, parent=turn,
            overflow=overflow,
        )  # fmt: skip

    # 2 (system) + 12 (three turns) + 4 (prompt) leaves 2 of 20.
    assert start(Overflow.REFUSE, prompt).dropped_turns == 0
    shortened = start(Overflow.DROP_OLDEST, prompt)
    assert [each["content"] for each in shortened.messages] == ["sys", "p1", "a1", "p2", "a2", "w w w"]
    assert shortened.dropped_turns == 1
    with pytest.raises(ValidationError, match=r"has 25 tokens; .* reads at most 19") as refused:
        start(Overflow.REFUSE, "w " * 10)
    assert list(refused.value.message_dict) == ["context"]
    page = alice_client.get(conversation.get_absolute_url()).content.decode()
    assert "without the oldest turn: together" in page


def test_a_full_context_is_refused_beside_the_prompt_with_what_to_do(
    alice: User, alice_client: Client, counted: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, counted, prompt="w " * 6, output="w " * 6)
    sent = prompt_form(counted, parent=str(first.pk), prompt="w " * 7, max_tokens="4")
    response = alice_client.post(conversation.get_absolute_url(), sent)
    assert response.status_code == 422
    page = response.content.decode()
    assert "With the turns before it, this prompt has" in page
    assert "Send without the oldest turns" in page
    assert "Send in a new conversation" in page
    # A text that is too long by itself leaves nothing to choose but a shorter one.
    for kind, said, to_do in (
        ("chat", "This prompt has", "Shorten the prompt"),
        ("completion", "This text has", "Shorten the text"),
    ):
        alone = prompt_form(counted, kind=kind, prompt="w " * 30, max_tokens="4")
        page = alice_client.post(reverse("playground:new"), alone).content.decode()
        assert said in page
        assert to_do in page
        assert "Send in a new conversation" not in page
    assert alice_client.post(conversation.get_absolute_url(), sent | {"fit": "drop_oldest"}).status_code == 302
    assert Generation.objects.get(dropped_turns=1).messages == [{"role": "user", "content": "w " * 7}]


def test_the_meter_follows_what_is_typed_where_it_would_be_sent(
    alice: User, alice_client: Client, counted: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, counted, prompt="w w", output="w w w")
    url = reverse("playground:context")
    here = {"conversation": str(conversation.pk), "max_tokens": "4"}

    def meter(**fields: str) -> str:
        return alice_client.post(url, prompt_form(counted, **here | fields)).content.decode()

    assert "10 of 20 tokens of context" in meter(prompt="w w", parent=str(first.pk))
    waits = add_turn(conversation, counted, first, prompt="w w w", state=State.RUNNING)
    waits.messages = [*first.messages, {"role": "assistant", "content": "w w w"}, {"role": "user", "content": "w w w"}]
    waits.save()
    growing = meter(prompt="", parent=str(waits.pk))
    assert "13 of 20 tokens of context, the answer that is being written not counted yet" in " ".join(growing.split())
    # The prompt that is written anew is not read itself.
    assert "3 of 20 tokens" in meter(prompt="w w", edits=str(first.pk))
    assert "it would be cut there" in meter(prompt="w " * 9, parent=str(first.pk))
    full = meter(prompt="w " * 90, parent=str(first.pk))
    assert "The context is full." in full
    assert "Send without the oldest turns" in full
    raw = meter(prompt="w " * 90, parent=str(first.pk), kind="completion")
    assert "cannot read a text this long" in raw
    assert "oldest turns" not in raw
    assert alice_client.post(url, {"variant": "no/such:one"}).status_code == 204
