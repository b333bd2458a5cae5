"""Limits start afresh in every test: people's keys come again with each test's rolled-back database."""

from __future__ import annotations

import pytest

from portal.catalog.models import Variant
from tests.playground.turns import make_variant


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def variant(db: None) -> Variant:
    return make_variant()
