"""Operators against abuse: blocks are told, measures are previewed, and nothing is lost."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.feedback.services import submit_feedback, withdraw_feedback
from portal.reviews.models import Block, Event, Review, ReviewItem
from portal.reviews.queries import resemblance
from tests.feedback.judgements import judge, make_generation
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


def test_the_page_is_an_operators(reviewer_client: Client, maintainer_client: Client, operator_client: Client) -> None:
    address = reverse("reviews:abuse")
    assert operator_client.get(address).status_code == 200
    for client in (reviewer_client, maintainer_client, Client()):
        assert client.get(address).status_code == 404
        assert client.post(address, {"action": "block"}).status_code == 404


def test_a_block_is_told_and_lifted_and_never_keeps_anybody_from_withdrawing(
    alice: User, alice_client: Client, operator_client: Client
) -> None:
    earlier = judge(alice)
    address = reverse("reviews:abuse")
    assert operator_client.post(address, {"action": "block", "person": "alice"}).status_code == 422
    assert operator_client.post(address, {"action": "block", "person": "nobody", "reason": "x"}).status_code == 422
    sent = {"action": "block", "person": "Alice", "reason": "Advertising", "days": "3"}
    assert operator_client.post(address, sent).status_code == 302
    generation = make_generation(alice)
    with pytest.raises(PermissionDenied, match="Advertising"):
        submit_feedback(Actor(user=alice), generation, {"thumb": "up"})
    refused = alice_client.post(reverse("feedback:panel", args=[generation.pk]), {"thumb": "up"})
    assert refused.status_code == 403
    assert not Submission.objects.filter(generation=generation).exists()
    assert withdraw_feedback(Actor(user=alice), earlier.generation).is_withdrawn
    block = Block.objects.get()
    assert operator_client.post(reverse("reviews:lift_block", args=[block.pk])).status_code == 302
    assert judge(alice, generation)
    assert set(Event.objects.filter(target="reviews.block").values_list("action", flat=True)) == {"blocked", "lifted"}


def test_a_quarantine_of_everything_is_previewed_first(alice: User, bob: User, operator_client: Client) -> None:
    mine, theirs = item_of(judge(alice)), item_of(judge(bob))
    address = reverse("reviews:abuse")
    page = operator_client.post(address, {"action": "quarantine", "person": "alice"}).text
    assert "1 item of alice would leave the queue" in page
    assert not ReviewItem.objects.filter(is_quarantined=True).exists()
    operator_client.post(address, {"action": "quarantine", "person": "alice", "confirmed": "1"})
    assert list(ReviewItem.objects.filter(state="quarantined")) == [mine]
    theirs.refresh_from_db()
    assert theirs.state == "waiting"


def test_a_reviewers_verdicts_are_set_aside_after_a_preview(
    alice: User, reviewer: User, second_reviewer: User, operator_client: Client
) -> None:
    decided, waiting = item_of(judge(alice)), item_of(judge(alice))
    give_verdict(reviewer, decided)
    give_verdict(second_reviewer, decided)
    give_verdict(reviewer, waiting)
    address = reverse("reviews:abuse")
    assert (
        "on 2 items would be set aside"
        in operator_client.post(address, {"action": "revert", "person": "reviewer"}).text
    )
    operator_client.post(address, {"action": "revert", "person": "reviewer", "confirmed": "1"})
    assert Review.objects.filter(reviewer=reviewer, superseded_by="reverted").count() == 2
    decided.refresh_from_db()
    assert (decided.state, decided.verdict_count) == ("waiting", 1)


def test_many_in_a_short_time_are_marked_and_their_contributor_shown(
    alice: User, operator_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resemblance, "FLOOD_PER_PERSON", 3)
    items = [item_of(judge(alice)) for _ in range(4)]
    assert [each.signs for each in items] == [[], [], [], ["flood"]]
    page = operator_client.get(reverse("reviews:abuse")).text
    assert "alice" in page
    assert "Many from one person in a short time" in page
