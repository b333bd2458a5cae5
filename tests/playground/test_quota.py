"""What may be run in 24 hours: counted from rows, per visitor, account and token; said before and at the limit."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import ApiToken, User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from portal.playground.quota import read_quotas
from portal.playground.services import prepare_generation, start_generation
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant, prompt_form


def used(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}


@pytest.mark.django_db
def test_runs_and_tokens_of_the_last_day_count_and_a_run_under_way_with_its_bound(
    alice: User, bob: User, variant: Variant, settings: Settings
) -> None:
    settings.ACCOUNT_RUNS_PER_DAY, settings.ACCOUNT_TOKENS_PER_DAY = 10, 1000
    conversation = make_conversation(alice)
    add_turn(conversation, variant, usage=used(10, 5))
    add_turn(conversation, variant, state=State.FAILED)
    yesterday = add_turn(conversation, variant, usage=used(400, 400))
    Generation.objects.filter(pk=yesterday.pk).update(created_at=timezone.now() - timedelta(hours=25))
    add_turn(conversation, variant, state=State.QUEUED, params=SamplingParams(max_tokens=100, seed=1).as_mapping())
    add_turn(make_conversation(bob), variant, usage=used(1, 1))
    conversation.delete_softly()
    (quota,) = read_quotas(actor_of(alice))
    assert (quota.runs_used, quota.runs_left, quota.tokens_used, quota.tokens_left) == (3, 7, 115, 885)
    assert type(quota.tokens_used) is int
    assert not quota.is_low
    assert 0 < quota.frees_in_s <= 86_400


@pytest.mark.django_db
def test_what_a_start_says_is_left_is_what_is_counted_after_it(alice: User, variant: Variant) -> None:
    token, _secret = ApiToken.objects.create(user=alice, name="own")
    actor = Actor(user=alice, api_token=token)
    for number in range(3):
        run = prepare_generation(actor, variant=variant, prompt="x", params=SamplingParams(max_tokens=10 + number))
        _generation, quotas = run.start_counted()
        counted = read_quotas(actor)
        assert [replace(each, frees_at=None) for each in quotas] == [replace(each, frees_at=None) for each in counted]
        assert [each.runs_used for each in quotas] == [number + 1, number + 1]
        for said, true in zip(quotas, counted, strict=True):
            assert said.frees_at is not None
            assert true.frees_at is not None
            assert abs(said.frees_at - true.frees_at) < timedelta(minutes=1)


@pytest.mark.django_db
def test_at_the_limit_a_prompt_is_refused_with_its_time_and_stays_in_its_field(
    alice: User, alice_client: Client, variant: Variant, settings: Settings
) -> None:
    settings.ACCOUNT_RUNS_PER_DAY = 2
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    assert "1 run and 5,000,000 tokens left" in alice_client.get("/playground/").content.decode()
    add_turn(conversation, variant)
    assert "Used up for now" in alice_client.get("/playground/").content.decode()
    response = alice_client.post("/playground/", prompt_form(variant, prompt="kept"))
    assert response.status_code == 429
    assert 86_000 < int(response["Retry-After"]) <= 86_400
    page = response.content.decode()
    assert "You have used the 2 runs of 24 hours." in page
    assert "kept</textarea>" in page
    assert Generation.objects.count() == 2


@pytest.mark.django_db
def test_tokens_used_up_refuse_and_no_limit_refuses_nothing(alice: User, variant: Variant, settings: Settings) -> None:
    settings.ACCOUNT_RUNS_PER_DAY, settings.ACCOUNT_TOKENS_PER_DAY = 0, 20
    add_turn(make_conversation(alice), variant, usage=used(15, 5))
    params = SamplingParams(max_tokens=5)
    with pytest.raises(LimitExceeded, match="20 tokens") as refused:
        start_generation(actor_of(alice), variant=variant, prompt="x", params=params)
    assert refused.value.limit == "tokens_per_day"
    settings.ACCOUNT_TOKENS_PER_DAY = 0
    start_generation(actor_of(alice), variant=variant, prompt="x", params=params)


@pytest.mark.django_db
def test_a_token_has_a_quota_of_its_own_inside_its_accounts(alice: User, variant: Variant, settings: Settings) -> None:
    settings.API_TOKEN_RUNS_PER_DAY = 1
    tokens = [ApiToken.objects.create(user=alice, name=name)[0] for name in ("one", "two")]
    actors = [Actor(user=alice, api_token=token) for token in tokens]
    params = SamplingParams(max_tokens=5)
    start_generation(actors[0], variant=variant, prompt="x", params=params)
    with pytest.raises(LimitExceeded):
        start_generation(actors[0], variant=variant, prompt="x", params=params)
    start_generation(actors[1], variant=variant, prompt="x", params=params)
    assert read_quotas(Actor(user=alice))[0].runs_used == 2


@pytest.mark.django_db
def test_a_visitor_who_drops_the_cookie_still_meets_the_networks_bound(variant: Variant, settings: Settings) -> None:
    settings.VISITOR_RUNS_PER_DAY, settings.GENERATION_RATE = 1, "1000/minute"
    params = SamplingParams(max_tokens=5)

    def ask() -> None:
        actor = Actor(visitor=uuid.uuid4(), network="192.0.2.1")
        start_generation(actor, variant=variant, prompt="x", params=params)

    for _ in range(5):
        ask()
    with pytest.raises(LimitExceeded):
        ask()


@pytest.mark.django_db(transaction=True)
def test_starts_at_the_same_moment_never_pass_the_limit_together(
    settings: Settings, django_user_model: type[User]
) -> None:
    settings.ACCOUNT_RUNS_PER_DAY, settings.MAX_CONCURRENT_GENERATIONS = 3, 100
    variant, user = make_variant(), django_user_model.objects.create_user("dora")
    at_once = threading.Barrier(6)
    refusals: list[str] = []

    def start() -> None:
        at_once.wait()
        try:
            start_generation(actor_of(user), variant=variant, prompt="x", params=SamplingParams(max_tokens=5))
        except LimitExceeded as error:
            refusals.append(error.limit)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert connection.is_usable()
    assert Generation.objects.count() == 3
    assert refusals == ["runs_per_day"] * 3
