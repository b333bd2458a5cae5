"""Limits start afresh in every test: people's keys come again with each test's rolled-back database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.accounts import limits
from portal.catalog.models import Variant
from tests.playground.turns import make_variant


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


@pytest.fixture
def variant(db: None) -> Variant:
    return make_variant()
