"""Two variants of different cards, and limits that start afresh in every test."""

from __future__ import annotations

import pytest

from portal.catalog.models import Variant
from tests.playground.conftest import _fresh_limits  # noqa: F401  a fixture
from tests.playground.turns import make_variant


@pytest.fixture
def variants(db: None) -> list[Variant]:
    return [make_variant("smol/lm2"), make_variant("other/tiny")]
