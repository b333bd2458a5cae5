"""Queries whose SQL is made once: the rows of the queryset that they stand for, on every database."""

from __future__ import annotations

import gc
import threading
import uuid
import weakref
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import BigIntegerField, BooleanField, Count, DateTimeField, Q, QuerySet, UUIDField
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts.actor_rows import RowsOfActor
from portal.accounts.actors import Actor
from portal.accounts.models import ApiToken, User
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from portal.prepared_query import Given, PreparedInstances, PreparedRows, Row
from tests.playground.turns import add_turn, make_conversation

pytestmark = [pytest.mark.django_db, pytest.mark.contract]

COLUMNS = ("pk", "conversation", "params", "is_repeatable", "created_at", "parent", "api_token", "attempt")


@pytest.fixture
def runs(alice: User, bob: User, variant: Variant) -> list[Generation]:
    token, _secret = ApiToken.objects.create(user=alice, name="own")
    made = [add_turn(make_conversation(owner), variant) for owner in (alice, alice, bob)]
    made.append(add_turn(made[0].conversation, variant, parent=made[0], is_repeatable=True))
    made.append(add_turn(made[0].conversation, variant, api_token=token))
    Generation.objects.filter(pk=made[1].pk).update(created_at=timezone.now() - timedelta(days=2))
    return made


def of_owner(owner: Any, since: Any) -> QuerySet[Any, Row]:
    found = Generation.objects.filter(conversation__owner=owner, created_at__gt=since)
    return found.order_by("pk").values_list(*COLUMNS)


def test_rows_are_those_of_the_queryset_value_for_value_and_kind_for_kind(
    runs: list[Generation], alice: User, bob: User
) -> None:
    prepared = PreparedRows(lambda: of_owner(Given("owner", BigIntegerField()), Given("since", DateTimeField())))
    for owner in (alice, bob):
        for days in (1, 3):
            since = timezone.now() - timedelta(days=days)
            rows, expected = prepared(owner=owner.pk, since=since), list(of_owner(owner.pk, since))
            assert rows == expected
            assert [[type(value) for value in row] for row in rows] == [
                [type(each) for each in row] for row in expected
            ]
    assert prepared(owner=0, since=timezone.now()) == []


def test_values_go_to_their_own_places_whatever_the_order_in_which_they_are_given(runs: list[Generation]) -> None:
    prepared = PreparedRows(
        lambda: (
            Generation.objects.filter(
                Q(pk=Given("second", UUIDField()), is_repeatable=Given("repeats", BooleanField()))
                | Q(pk=Given("first", UUIDField()))
            )
            .order_by("created_at")
            .values_list("pk")
        )
    )
    first, repeatable = runs[0].pk, runs[3].pk
    assert set(prepared(first=first, second=repeatable, repeats=True)) == {(first,), (repeatable,)}
    assert prepared(repeats=False, second=repeatable, first=first) == [(first,)]
    assert prepared(first=first, second=first, repeats=True) == [(first,)]


def test_sums_and_groups_are_the_queryset_s_too(runs: list[Generation], alice: User) -> None:
    def by_token(owner: Any) -> QuerySet[Any, Row]:
        found = Generation.objects.filter(conversation__owner=owner).order_by("api_token").values("api_token")
        return found.annotate(runs=Count("pk")).values_list("api_token", "runs")

    prepared = PreparedRows(lambda: by_token(Given("owner", BigIntegerField())))
    assert prepared(owner=alice.pk) == list(by_token(alice.pk))
    assert sorted(count for _token, count in prepared(owner=alice.pk)) == [1, 3]


def test_its_sql_is_made_once_for_all_threads_and_every_call_asks_anew(
    runs: list[Generation], alice: User, variant: Variant
) -> None:
    made: list[None] = []

    def build() -> QuerySet[Any, Row]:
        made.append(None)
        return Generation.objects.filter(conversation__owner=Given("owner", BigIntegerField())).values_list("pk")

    prepared = PreparedRows(build)
    assert len(prepared(owner=alice.pk)) == 4
    add_turn(runs[0].conversation, variant)
    with CaptureQueriesContext(connection) as asked:
        assert len(prepared(owner=alice.pk)) == 5
    assert len(asked) == len(made) == 1


def test_a_value_that_is_missing_is_named(runs: list[Generation]) -> None:
    prepared = PreparedRows(lambda: of_owner(Given("owner", BigIntegerField()), Given("since", DateTimeField())))
    with pytest.raises(KeyError, match="since"):
        prepared(owner=1)


def test_a_value_of_another_kind_is_refused_and_never_becomes_sql(runs: list[Generation]) -> None:
    prepared = PreparedRows(lambda: Generation.objects.filter(pk=Given("id", UUIDField())).values_list("pk"))
    with pytest.raises(Exception, match="UUID"):
        prepared(id="' OR 1=1 --")


def test_instances_come_with_what_their_keys_point_to_in_one_query(runs: list[Generation], variant: Variant) -> None:
    prepared = PreparedInstances(
        lambda: Generation.objects.filter(pk=Given("id", UUIDField())), related=["variant", "variant__card"]
    )
    with CaptureQueriesContext(connection) as asked:
        (found,) = prepared(id=runs[3].pk)
        model_id = found.variant.model_id
    assert len(asked) == 1
    expected = Generation.objects.get(pk=runs[3].pk)
    assert found == expected
    assert model_id == variant.model_id
    for field in Generation._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(expected, field.attname)
    assert not found._state.adding
    found.attempt += 1
    found.save(update_fields=["attempt"])
    assert Generation.objects.get(pk=found.pk).attempt == expected.attempt + 1
    assert prepared(id=uuid.uuid4()) == []


def test_a_key_that_may_point_to_nothing_is_refused(runs: list[Generation]) -> None:
    prepared = PreparedInstances(
        lambda: Generation.objects.filter(pk=Given("id", UUIDField())), related=["conversation", "conversation__owner"]
    )
    with pytest.raises(ValueError, match="conversation__owner may point to nothing"):
        prepared(id=runs[0].pk)


def test_it_keeps_no_connection_of_the_thread_that_asked_first(transactional_db: None) -> None:
    prepared = PreparedRows(
        lambda: Generation.objects.filter(created_at__lt=Given("before", DateTimeField())).values_list("created_at")
    )
    kept = []

    def ask() -> None:
        assert prepared(before=timezone.now()) == []
        kept.append(weakref.ref(connections["default"]))
        connections["default"].close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    gc.collect()
    assert kept[0]() is None
    assert prepared(before=timezone.now()) == []


def test_columns_left_out_are_loaded_where_they_are_looked_at(runs: list[Generation]) -> None:
    prepared = PreparedInstances(
        lambda: Generation.objects.filter(pk=Given("id", UUIDField())),
        related=["variant"],
        without=["prompt", "variant__facts"],
    )
    (found,) = prepared(id=runs[0].pk)
    assert found.get_deferred_fields() == {"prompt"}
    assert found.variant.get_deferred_fields() == {"facts"}
    with CaptureQueriesContext(connection) as asked:
        assert found.prompt == Generation.objects.get(pk=found.pk).prompt
    assert len(asked) == 2


def test_an_actor_s_rows_are_its_own_and_a_stranger_has_none(
    runs: list[Generation], alice: User, bob: User, variant: Variant
) -> None:
    visitor = uuid.uuid4()
    visited = add_turn(Conversation.objects.create(visitor=visitor), variant)
    own = RowsOfActor(lambda own: Generation.objects.filter(own).order_by().values_list("pk"), "conversation__")

    def keys(actor: Actor) -> set[uuid.UUID]:
        return {key for (key,) in own(actor)}

    assert keys(Actor(user=alice)) == {run.pk for run in runs if run.conversation.owner == alice}
    assert keys(Actor(user=bob)) == {runs[2].pk}
    assert keys(Actor(visitor=visitor)) == {visited.pk}
    assert keys(Actor(visitor=uuid.uuid4())) == keys(Actor()) == set()
