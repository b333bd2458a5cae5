"""The status page shows a person what `/readyz` tells a machine, and each variant's queue."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.accounts.models import User
from portal.catalog.models import Backend, ModelCard, Variant
from portal.operations import readiness
from portal.operations.load import variant_loads
from portal.playground.models import Conversation, Generation, State, WorkerHeartbeat


@pytest.fixture(autouse=True)
def store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ping", lambda url: True)


def make_variant(slug: str) -> Variant:
    card, _ = ModelCard.objects.get_or_create(owner_name="lab", slug="scales", title="Scales")
    return Variant.objects.create(card=card, slug=slug, backend=Backend.TRANSFORMERS, source="weights/scales")


def make_generation(variant: Variant, owner: User, state: State) -> None:
    running = {"lease_expires_at": timezone.now(), "claimed_by": "w"} if state == State.RUNNING else {}
    Generation.objects.create(
        conversation=Conversation.objects.create(owner=owner), variant=variant, prompt="?", messages=[], params={},
        state=state, **running,
    )  # fmt: skip


def test_an_empty_installation_says_what_is_missing(client: Client, db: None) -> None:
    answer = client.get("/status/")
    assert answer.status_code == 200
    assert "No worker said" in answer.content.decode()


def test_queues_are_counted_per_variant(client: Client, alice: User, store_answers: None) -> None:
    small, large = make_variant("small"), make_variant("large")
    for state in (State.QUEUED, State.QUEUED, State.RUNNING):
        make_generation(small, alice, state)
    now = timezone.now()
    WorkerHeartbeat.objects.create(worker_id="w", hostname="h", capacity=16, started_at=now, seen_at=now)

    assert {variant: (variant.queued, variant.running) for variant in variant_loads()} == {small: (2, 1), large: (0, 0)}
    page = client.get("/status/").content.decode()
    assert "lab/scales:small" in page
    assert "1 worker is alive and can hold 16 runs" in page


def test_more_variants_cost_no_more_queries(
    client: Client, db: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(10):
        make_variant(f"v{number}")
    client.get("/status/")
    with django_assert_max_num_queries(8):
        client.get("/status/")
