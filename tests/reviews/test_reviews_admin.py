"""The review database in the admin: seen, searched, never written, at the same cost however long."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.reviews.models import Event, Review, ReviewItem
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label == "reviews"]


@pytest.fixture
def item(alice: User, reviewer: User) -> ReviewItem:
    item = item_of(judge(alice))
    give_verdict(reviewer, item)
    return item


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_each_list_opens_and_nothing_can_be_added(model: type, item: ReviewItem, superuser_client: Client) -> None:
    name = f"admin:reviews_{model._meta.model_name}"  # type: ignore[attr-defined]
    assert superuser_client.get(reverse(f"{name}_changelist")).status_code == 200
    assert superuser_client.get(reverse(f"{name}_changelist"), {"q": "7"}).status_code == 200
    assert superuser_client.get(reverse(f"{name}_add")).status_code == 403


def test_the_history_can_be_read_and_not_written(item: ReviewItem, superuser_client: Client) -> None:
    event = Event.objects.filter(action="verdict").get()
    address = reverse("admin:reviews_event_change", args=[event.pk])
    assert superuser_client.get(address).status_code == 200
    entries = reverse("admin:reviews_event_changelist")
    assert '<td class="field-who">reviewer</td>' in superuser_client.get(entries, {"q": "reviewer"}).text
    assert "0 history" in superuser_client.get(entries, {"q": "nobody"}).text
    assert superuser_client.post(address, {"action": "x"}).status_code == 403
    assert superuser_client.post(reverse("admin:reviews_event_delete", args=[event.pk])).status_code == 403
    event.refresh_from_db()
    assert event.action == "verdict"


def test_items_are_found_by_their_number_and_their_submissions_id(item: ReviewItem, superuser_client: Client) -> None:
    address = reverse("admin:reviews_reviewitem_changelist")
    for term in (str(item.pk), f"#{item.pk}", str(item.submission_id)):
        assert "1 review item" in superuser_client.get(address, {"q": term}).text
    assert "0 review items" in superuser_client.get(address, {"q": "987654"}).text
    verdicts = reverse("admin:reviews_review_changelist")
    assert "1 verdict" in superuser_client.get(verdicts, {"q": "reviewer"}).text


@pytest.mark.parametrize("model", [ReviewItem, Review, Event])
def test_lists_cost_the_same_however_long(
    model: type, item: ReviewItem, alice: User, reviewer: User, superuser_client: Client
) -> None:
    address = reverse(f"admin:reviews_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert superuser_client.get(address).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for _ in range(6):
        give_verdict(reviewer, item_of(judge(alice)))
    assert queries() == few
