"""Starting a generation: what is checked, what is stored, and that nothing happens twice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground import dispatch
from portal.playground.models import Conversation, Generation, State
from portal.playground.services import cancel_generation, start_generation
from tests.playground.turns import add_turn, make_conversation
from tests.services.installation import eventually

pytestmark = pytest.mark.django_db
PARAMS = SamplingParams(max_tokens=64)


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[mock.Mock]:
    """What would go to the broker, which these tests do without."""
    eventually(lambda: not dispatch._sender._unsent, 60, "what earlier tests sent is on its way no more")
    monkeypatch.setattr(dispatch, "GIVE_UP_S", 600.0)
    with mock.patch.object(dispatch, "current_app") as app:
        yield app.send_task


def start(owner: User | uuid.UUID, variant: Variant, prompt: str = "Hello", **rest: Any) -> Generation:
    actor = Actor(user=owner) if isinstance(owner, User) else Actor(visitor=owner, network="192.0.2.1")
    return start_generation(actor, variant=variant, prompt=prompt, params=rest.pop("params", PARAMS), **rest)


def test_a_first_prompt_begins_a_conversation(alice: User, variant: Variant) -> None:
    generation = start(alice, variant, "  What is\na steelyard?  ", system_prompt="Be brief.")
    assert generation.conversation.owner == alice
    assert generation.conversation.title == "What is a steelyard?"
    assert generation.state == State.QUEUED
    assert generation.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "  What is\na steelyard?  "},
    ]


def test_a_further_turn_reads_the_branch_before_it(alice: User, variant: Variant) -> None:
    first = start(alice, variant, "One", system_prompt="Be brief.")
    Generation.objects.filter(pk=first.pk).update(output="1")
    Conversation.objects.filter(pk=first.conversation_id).update(system_prompt="Be kind.")
    add = Generation.objects.get(pk=first.pk)
    Generation.objects.filter(pk=first.pk).update(state=State.SUCCEEDED, finished_at=first.queued_at)
    add.refresh_from_db()
    second = start(alice, variant, "Two", conversation=add.conversation, parent=add)
    assert [(message["role"], message["content"]) for message in second.messages] == [
        ("system", "Be kind."),
        ("user", "One"),
        ("assistant", "1"),
        ("user", "Two"),
    ]


def test_a_turn_behind_a_failed_one_reads_as_if_that_had_not_been(alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="One", output="1")
    failed = add_turn(conversation, variant, first, prompt="Two", output="", state=State.FAILED)
    Generation.objects.filter(pk=failed.pk).update(
        messages=[
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "Two"},
        ]
    )
    failed.refresh_from_db()
    third = start(alice, variant, "Three", conversation=conversation, parent=failed)
    assert [message["content"] for message in third.messages] == ["One", "1", "Three"]


HISTORY = (
    Message("system", ""),
    Message("user", "One"),
    Message("assistant", "1"),
    Message("system", "Be kind."),
)


def test_a_chat_that_began_elsewhere_is_read_exactly_as_it_is(alice: User, variant: Variant) -> None:
    generation = start(alice, variant, "Two", history=HISTORY)
    turns = [*((message.role, message.content) for message in HISTORY), ("user", "Two")]
    assert [(message["role"], message["content"]) for message in generation.messages] == turns
    assert (generation.prompt, generation.conversation.title, generation.parent) == ("Two", "Two", None)


def test_such_a_chat_goes_on_in_the_playground(alice: User, variant: Variant) -> None:
    history = (Message("system", "Be brief."), *HISTORY[1:])
    first = start(alice, variant, "Two", history=history)
    assert first.conversation.system_prompt == "Be brief."
    first.state, first.output = State.SUCCEEDED, "2"
    second = start(alice, variant, "Three", conversation=first.conversation, parent=first, system_prompt="Be wise.")
    assert [message["content"] for message in second.messages] == [
        "Be wise.", "One", "1", "Be kind.", "Two", "2", "Three"
    ]  # fmt: skip


@pytest.mark.parametrize("rest", [{"system_prompt": "Be brief."}, {"conversation": Conversation()}])
def test_a_chat_brings_its_own_system_prompt_and_conversation(
    alice: User, variant: Variant, rest: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="history"):
        start(alice, variant, history=HISTORY, **rest)


def test_every_run_can_be_repeated_since_its_seed_is_stored(alice: User, variant: Variant) -> None:
    first = start(alice, variant)
    assert isinstance(first.params["seed"], int)
    assert start(alice, variant, params=replace(PARAMS, seed=42)).params["seed"] == 42


def test_first_turns_and_runs_with_a_chosen_seed_repeat_exactly(alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    before = add_turn(conversation, variant)
    assert start(alice, variant).is_repeatable
    assert not start(alice, variant, conversation=conversation, parent=before).is_repeatable
    seeded = replace(PARAMS, seed=42)
    assert start(alice, variant, conversation=conversation, parent=before, params=seeded).is_repeatable


def test_the_stored_parameters_read_back_to_the_same_value(alice: User, variant: Variant) -> None:
    params = SamplingParams(temperature=0.3, stop=("END",), logit_bias={5: -1.5}, seed=9, top_logprobs=3)
    assert SamplingParams.from_mapping(start(alice, variant, params=params).params) == params


@pytest.mark.parametrize(
    ("field", "words", "change"),
    [
        ("prompt", "Write a prompt", {"prompt": " \n "}),
        ("prompt", "At most 32000 characters; this has 32001", {"prompt": "x" * 32_001}),
        ("prompt", "Null characters", {"prompt": "a\x00b"}),
        ("system_prompt", "At most 8000 characters", {"system_prompt": "x" * 8_001}),
        ("system_prompt", "At most 8000 characters", {"history": [Message("system", "x" * 8_001)]}),
        ("history", "At most 32000 characters", {"history": [Message("user", "x" * 32_001)]}),
        ("history", "Null characters", {"history": [Message("assistant", "a\x00b")]}),
        ("max_tokens", "At most 2048 tokens", {"params": SamplingParams(max_tokens=2049)}),
    ],
)
def test_bad_input_is_refused_by_field_and_limit_and_changes_nothing(
    alice: User, variant: Variant, field: str, words: str, change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as refused:
        start(alice, variant, **change)
    assert list(refused.value.message_dict) == [field]
    assert words in refused.value.message_dict[field][0]
    assert not Conversation.objects.exists()


def test_a_variant_that_cannot_run_is_refused(alice: User, variant: Variant) -> None:
    variant.is_runnable = False
    with pytest.raises(ValidationError, match="cannot run here"):
        start(alice, variant)


def test_a_turn_cannot_follow_one_of_another_conversation(alice: User, variant: Variant) -> None:
    other = add_turn(make_conversation(alice), variant)
    with pytest.raises(ValidationError, match="another conversation"):
        start(alice, variant, conversation=make_conversation(alice), parent=other)


def test_a_turn_cannot_follow_one_that_is_still_written(alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    running = add_turn(conversation, variant, state=State.RUNNING)
    with pytest.raises(ValidationError, match="still being written"):
        start(alice, variant, conversation=conversation, parent=running)


def test_the_same_key_again_gives_the_same_run(alice: User, variant: Variant) -> None:
    key = uuid.uuid4()
    assert start(alice, variant, request_key=key) == start(alice, variant, request_key=key)
    assert Generation.objects.count() == 1


def test_a_turn_sent_while_its_conversation_went_over_to_an_account_changes_nothing(
    alice: User, visitor: uuid.UUID, variant: Variant
) -> None:
    conversation = make_conversation(visitor)
    loaded_before = Conversation.objects.get(pk=conversation.pk)
    Conversation.objects.filter(pk=conversation.pk).update(owner=alice, visitor=None)
    with pytest.raises(ValidationError, match="no longer yours"):
        start(visitor, variant, conversation=loaded_before)
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.visitor) == (alice, None)
    assert not Generation.objects.exists()


def test_somebody_elses_key_is_refused_without_showing_the_run(alice: User, bob: User, variant: Variant) -> None:
    key = uuid.uuid4()
    start(alice, variant, request_key=key)
    with pytest.raises(ValidationError, match="used already"):
        start(bob, variant, request_key=key)
    assert Generation.objects.count() == 1


def test_more_runs_at_once_than_allowed_are_refused(alice: User, bob: User, variant: Variant, settings: Any) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 2
    first, second = start(alice, variant), start(alice, variant)
    # However long it has waited.
    Generation.objects.filter(pk=second.pk).update(created_at=timezone.now() - timedelta(days=2))
    with pytest.raises(LimitExceeded, match="2 answers under way") as refused:
        start(alice, variant)
    assert refused.value.retry_after_s > 0
    start(bob, variant)
    assert cancel_generation(first)
    start(alice, variant)


def test_more_prompts_a_minute_than_allowed_are_refused(alice: User, variant: Variant, settings: Any) -> None:
    settings.GENERATION_RATE = "2/minute"
    start(alice, variant), start(alice, variant)
    with pytest.raises(LimitExceeded) as refused:
        start(alice, variant)
    assert (refused.value.limit, 0 < refused.value.retry_after_s <= 60) == ("generations", True)
    assert Generation.objects.count() == 2


def test_new_cookies_do_not_get_round_a_networks_limit(variant: Variant, settings: Any) -> None:
    settings.GENERATION_RATE = "1/minute"
    for _ in range(5):
        start(uuid.uuid4(), variant)
    with pytest.raises(LimitExceeded, match=r"more than 5 per minute\. Try again in [0-9]+ seconds\."):
        start(uuid.uuid4(), variant)


def test_a_worker_is_woken_only_when_the_row_is_there_to_be_read(
    alice: User, variant: Variant, sent: mock.Mock, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        generation = start(alice, variant)
    sent.assert_not_called()
    for callback in callbacks:
        callback()
    assert dispatch.wait_until_sent([generation.pk], 60)
    sent.assert_called_once()
    assert sent.call_args.args == ("playground.run_generation",)
    assert sent.call_args.kwargs["args"] == [str(generation.pk)]
    assert sent.call_args.kwargs["queue"] == "generations"


def test_a_broker_that_is_away_loses_no_prompt_and_is_asked_again(
    alice: User, variant: Variant, sent: mock.Mock, django_capture_on_commit_callbacks: Any
) -> None:
    sent.side_effect = ConnectionError("away")
    with django_capture_on_commit_callbacks(execute=True):
        generation = start(alice, variant)
    assert not dispatch.wait_until_sent([generation.pk], 0.1)
    assert Generation.objects.get(pk=generation.pk).state == State.QUEUED
    sent.side_effect = None
    assert dispatch.wait_until_sent([generation.pk], 60)
    assert {call.kwargs["args"][0] for call in sent.call_args_list} == {str(generation.pk)}


def test_a_queue_that_is_broken_holds_up_no_other(
    alice: User, variant: Variant, sent: mock.Mock, django_capture_on_commit_callbacks: Any
) -> None:
    def take(*_args: Any, queue: str, **_options: Any) -> None:
        if queue == "broken":
            raise ConnectionError("away")

    sent.side_effect = take
    with django_capture_on_commit_callbacks(execute=True):
        Variant.objects.filter(pk=variant.pk).update(queue="broken")
        stuck = start(alice, Variant.objects.get(pk=variant.pk))
        other = start(alice, variant)
    assert dispatch.wait_until_sent([other.pk], 60)
    assert not dispatch.wait_until_sent([stuck.pk], 0)
    sent.side_effect = None
    assert dispatch.wait_until_sent([stuck.pk], 60)


@pytest.mark.django_db(transaction=True)
def test_prompts_sent_at_once_never_exceed_the_limit_and_one_key_is_one_run(
    alice: User, variant: Variant, settings: Any
) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 3
    keys = [uuid.uuid4() for _ in range(4)] * 2

    def attempt(key: uuid.UUID) -> bool:
        try:
            start(alice, variant, request_key=key)
        except LimitExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, keys))
    assert Generation.objects.count() == 3
