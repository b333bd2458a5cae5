"""Whoever waits for a model that is being loaded hears how far it is."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator

import pytest
from django.core.cache import cache

from inference.weight_folder import WeightsRefused
from portal.catalog.models import Relation, Variant
from portal.playground.following import _queued_event
from portal.playground.loading import loading_percent, loading_teller, log_failed_load
from portal.playground.models import State
from tests.playground.turns import add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_told() -> Iterator[None]:
    yield
    cache.clear()


def test_what_is_told_is_forgotten_when_the_weights_are_there(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.playground.loading.APART_S", 0)
    tell = loading_teller(variant.pk)
    assert loading_percent(variant.pk) is None
    tell(0.3, "loading the weights")
    assert loading_percent(variant.pk) == 30
    tell(1.0, "ready")
    assert loading_percent(variant.pk) is None


def test_quick_steps_are_not_all_told(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.playground.loading.APART_S", 600)
    tell = loading_teller(variant.pk)
    tell(0.1, "a")
    tell(0.2, "b")
    assert loading_percent(variant.pk) == 10


def test_a_queued_run_says_how_much_of_its_weights_is_loaded(variant: Variant) -> None:
    adapter = make_variant(slug="lora", relation=Relation.ADAPTER, base=variant)
    conversation = make_conversation(uuid.uuid4())
    runs = [add_turn(conversation, each, state=State.QUEUED) for each in (variant, adapter)]
    assert all("loading" not in _queued_event(run).data for run in runs)
    loading_teller(variant.pk)(0.45, "loading the weights")
    assert [_queued_event(run).data["loading"] for run in runs] == [45, 45]


def test_weights_that_are_refused_are_one_line_of_the_log_and_anything_else_says_where_it_came_from(
    variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    log_failed_load(variant, WeightsRefused("/weights/gone is not a folder."))
    log_failed_load(variant, RuntimeError("out of something"))
    refused, broken = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert refused.getMessage() == f"{variant.model_id} cannot be loaded: /weights/gone is not a folder."
    assert refused.exc_info is None
    assert broken.exc_info is not None
