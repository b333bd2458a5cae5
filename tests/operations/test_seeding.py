"""Seeding makes what is missing, says whether it did, and does nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from portal.catalog.models import Variant
from portal.feedback.models import Campaign, Questionnaire
from portal.operations.seeding import seed

pytestmark = pytest.mark.django_db


def test_only_a_seeding_that_made_or_changed_something_says_so(settings: Settings, tmp_path: Path) -> None:
    settings.STEELYARD_HOME = tmp_path
    Campaign.objects.all().delete()
    Questionnaire.objects.all().delete()
    first = seed()
    assert first.has_changed
    assert str(first) == "1 card, 3 variants, 7 questionnaires"
    assert not seed().has_changed
    Variant.objects.update(is_runnable=True)
    assert seed().has_changed  # the weights are not there
    assert not seed().has_changed
