"""Two variants of different cards, and limits that start afresh in every test."""

from __future__ import annotations

import pytest

from portal.catalog.models import Variant
from tests.playground.turns import make_variant


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def variants(db: None) -> list[Variant]:
    return [make_variant("smol/lm2"), make_variant("other/tiny")]
