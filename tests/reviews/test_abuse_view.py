"""Operators against abuse: blocks are told, measures are previewed, and nothing is lost."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Outcome, Vote
from portal.feedback.models import Submission
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback, withdraw_submission
from portal.reviews.models import Block, Event, Review, ReviewItem
from portal.reviews.queries import resemblance
from portal.reviews.queries.rings import vote_rings
from tests.arena.contests import add_votes, make_contest
from tests.feedback.judgements import judge, make_generation, make_variant
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
    campaign = reverse("feedback:campaign_answer", args=["next-open-model"])
    battle = make_contest(alice, [make_variant(), make_variant(slug="other")])
    for refused in (
        alice_client.post(reverse("feedback:panel", args=[generation.pk]), {"thumb": "up"}),
        alice_client.post(reverse("feedback:closer", args=[generation.pk]), {"thumb": "up", "correction": "Mine."}),
        alice_client.post(campaign, {"uses": "coding", "wish": "Kept in its field."}),
        alice_client.post(reverse("arena:battle_vote", args=[battle.pk]), {"outcome": "a"}, follow=True),
    ):
        assert "You cannot give anything at the moment: Advertising" in refused.text
    assert "Kept in its field." in alice_client.post(campaign, {"uses": "coding", "wish": "Kept in its field."}).text
    battle.refresh_from_db()
    assert battle.is_blind
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
    release = {"action": "release", "person": "alice"}
    assert "1 item of alice would come back" in operator_client.post(address, release).text
    operator_client.post(address, release | {"confirmed": "1"})
    assert not ReviewItem.objects.exclude(state="waiting").exists()
    assert operator_client.post(address, {"action": "erase", "person": "alice", "confirmed": "1"}).status_code == 404


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


def test_votes_that_stand_out_are_shown_with_their_numbers_and_nothing_follows(
    alice: User, bob: User, operator_client: Client
) -> None:
    one, other = make_variant(), make_variant(slug="other")
    began = timezone.now() - timedelta(days=30)
    for number in range(60):
        mixed = Outcome.A if number % 2 else Outcome.B
        add_votes([(one, other, mixed)], visitor=uuid.uuid4(), created_at=began + timedelta(hours=12 * number))
    for day in range(20):
        # Whichever side it stands on: the same variant every time.
        pair = (one, other, Outcome.B) if day % 2 else (other, one, Outcome.A)
        add_votes([pair], owner=alice, created_at=began + timedelta(days=day))
    add_votes([(one, other, Outcome.TIE)] * 20, owner=bob)
    (ring,) = vote_rings()
    assert (ring.names, ring.winner, ring.loser) == (["alice"], other.model_id, one.model_id)
    assert (ring.finding.votes, ring.finding.of, ring.finding.won, ring.finding.lost) == (20, 20, 30, 30)
    page = operator_client.get(reverse("reviews:abuse")).text
    assert "One voter, one side" in page
    assert "20 of 20" in page
    assert "30 of 60" in page
    assert ring.chance in page
    assert not Vote.objects.exclude(void_reason="", review_state="unreviewed").exists()


def test_many_in_a_short_time_are_marked_and_their_contributor_shown(
    alice: User, operator_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resemblance, "FLOOD_PER_PERSON", 3)
    items = [item_of(judge(alice)) for _ in range(4)]
    assert [each.signs for each in items] == [[], [], [], ["flood"]]
    page = operator_client.get(reverse("reviews:abuse")).text
    assert "alice" in page
    assert "Many from one person in a short time" in page


def test_a_network_is_blocked_for_a_time_after_a_look_at_whom_it_meets(
    alice: User, bob: User, operator: User, operator_client: Client
) -> None:
    there = Actor(user=alice, network="192.0.2.7")
    earlier = submit_feedback(there, make_generation(alice), {"thumb": "up"})
    name = f"network:{there.network_digest}"
    address = reverse("reviews:abuse")
    sent = {"action": "block", "person": name, "reason": "A flood from there", "days": "7"}
    page = operator_client.post(address, sent).text
    assert "accounts 1, anonymous browsers 0, their submissions 1, their votes 0" in page
    assert not Block.objects.exists()
    for days in ("", "91"):
        assert operator_client.post(address, sent | {"confirmed": "1", "days": days}).status_code == 422
    assert operator_client.post(address, sent | {"person": "network:xyz", "confirmed": "1"}).status_code == 422
    assert operator_client.post(address, sent | {"confirmed": "1"}).status_code == 302
    assert name in operator_client.get(address).text
    for person, generation in ((alice, make_generation(alice)), (bob, make_generation(bob))):
        with pytest.raises(PermissionDenied, match="A flood from there"):
            submit_feedback(Actor(user=person, network="192.0.2.7"), generation, {"thumb": "up"})
        assert submit_feedback(Actor(user=person, network="192.0.2.8"), generation, {"thumb": "up"})
    assert withdraw_submission(there, earlier.pk).is_withdrawn, "withdrawing stays free"
    block = Block.objects.get()
    Block.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert submit_feedback(there, make_generation(alice), {"thumb": "up"}), "it has run out"
    Block.objects.update(until=timezone.now() + timedelta(days=1))
    operator_client.post(reverse("reviews:lift_block", args=[block.pk]))
    assert submit_feedback(there, make_generation(alice), {"thumb": "up"}), "it was lifted"


def test_a_network_of_several_with_marked_items_is_listed_and_quarantined(
    alice: User, bob: User, operator_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resemblance, "FLOOD_PER_NETWORK", 2)
    for person in (alice, bob, alice, bob):
        submit_feedback(Actor(user=person, network="192.0.2.7"), make_generation(person), {"thumb": "up"})
    name = f"network:{Actor(network='192.0.2.7').network_digest}"
    assert ReviewItem.objects.filter(signs=["network-flood"]).count() == 2
    assert name in operator_client.get(reverse("reviews:abuse")).text
    operator_client.post(reverse("reviews:abuse"), {"action": "quarantine", "person": name, "confirmed": "1"})
    assert ReviewItem.objects.filter(state="quarantined").count() == 4
