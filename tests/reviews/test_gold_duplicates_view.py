"""Gold that repeats another item: for who is measured, an item that can be named like any."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from portal.accounts.models import User
from portal.reviews.models import ReviewItem
from portal.reviews.services.verdicts import mark_gold
from tests.conftest import signed_in
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gold_is_given")]
BULK, API_BULK = reverse("reviews:bulk"), reverse("api:review-bulk-verdicts")


@pytest.fixture
def repeated_gold(
    gold: ReviewItem, alice: User, second_reviewer: User, third_reviewer: User, maintainer: User
) -> ReviewItem:
    """Known to repeat `gold`."""
    item = item_of(judge(alice, thumb="down", comment="The second arm is missing from that answer."))
    for each in (second_reviewer, third_reviewer):
        give_verdict(each, item, "duplicate", duplicate_of=gold.pk)
    mark_gold(maintainer, item.pk)
    item.refresh_from_db()
    return item


def test_naming_one_that_repeats_another_is_accepted_and_stored_of_the_first(
    gold: ReviewItem, repeated_gold: ReviewItem, twin: ReviewItem, reviewer: User
) -> None:
    client = signed_in(reviewer)
    sent = {"action": "verdict", "verdict": "duplicate", "item": [twin.pk], "duplicate_of": repeated_gold.pk}
    body = {"items": [twin.pk], "verdict": "duplicate", "duplicate_of": repeated_gold.pk, "preview": True}
    for answer in (client.post(BULK, sent), client.post(API_BULK, body, "application/json")):
        assert answer.status_code == 200
        assert "itself a duplicate" not in answer.text
    assert give_verdict(reviewer, twin, "duplicate", duplicate_of=repeated_gold.pk).duplicate_of_id == gold.pk


def test_ones_own_verdict_names_the_item_that_one_named(
    gold: ReviewItem, repeated_gold: ReviewItem, twin: ReviewItem, reviewer: User, maintainer: User
) -> None:
    mine = give_verdict(reviewer, twin, "duplicate", duplicate_of=repeated_gold.pk)
    page = signed_in(reviewer).get(twin.get_absolute_url()).text
    assert re.findall(r'Duplicate</span> <a href="[^"]*/(\d+)/">#(\d+)</a>', page) == [(str(repeated_gold.pk),) * 2]
    told = signed_in(reviewer).get(reverse("api:review-verdict", args=[mine.pk])).json()
    [listed] = signed_in(reviewer).get(reverse("api:review-item", args=[twin.pk])).json()["verdicts"]
    assert told["duplicate_of"] == listed["duplicate_of"] == repeated_gold.pk
    # Who knows the gold, and the decision between several, go by the first.
    by_maintainer = signed_in(maintainer).get(reverse("api:review-verdict", args=[mine.pk]))
    assert by_maintainer.status_code == 404, "still blind"
    give_verdict(maintainer, twin, "duplicate", duplicate_of=gold.pk)
    twin.refresh_from_db()
    assert (twin.outcome, twin.duplicate_of_id) == ("duplicate", gold.pk)
    assert signed_in(maintainer).get(reverse("api:review-verdict", args=[mine.pk])).json()["duplicate_of"] == gold.pk


def test_one_that_is_repeated_by_gold_is_no_duplicate_of_itself(
    gold: ReviewItem, repeated_gold: ReviewItem, reviewer: User
) -> None:
    assert give_verdict(reviewer, gold, "duplicate", duplicate_of=repeated_gold.pk).duplicate_of_id == repeated_gold.pk


def test_who_knows_that_it_repeats_another_is_told_to_name_the_first(
    gold: ReviewItem, repeated_gold: ReviewItem, twin: ReviewItem, maintainer: User
) -> None:
    with pytest.raises(ValidationError, match=f"#{repeated_gold.pk} is itself a duplicate: of #{gold.pk}"):
        give_verdict(maintainer, twin, "duplicate", duplicate_of=repeated_gold.pk)
