"""Names made of titles: fit for an address, and taken by nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.feedback.models import Questionnaire
from portal.feedback.proposed_names import MAX_CHARACTERS, proposed_name

pytestmark = pytest.mark.django_db


def test_a_taken_name_gets_a_number_and_stays_short_enough(maintainer: User) -> None:
    title = "Ändert die Länge etwas? " * 6
    given: list[str] = []
    for _ in range(3):
        given.append(proposed_name(title, Questionnaire.objects.all(), "questionnaire"))
        Questionnaire.objects.create(slug=given[-1], title=title, author=maintainer)
    assert given[0].startswith("andert-die-lange-etwas-andert")
    assert [name[-2:] for name in given[1:]] == ["-2", "-3"]
    assert max(map(len, given)) <= MAX_CHARACTERS
    assert proposed_name("ميزان", Questionnaire.objects.all(), "questionnaire") == "questionnaire"


@given(st.text(min_size=1, max_size=200))
def test_whatever_the_title_the_name_fits_an_address(title: str) -> None:
    name = proposed_name(title, Questionnaire.objects.none(), "questionnaire")
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,80}", name)
