"""My votes: what they were on, whether they are ranked, taken back one by one or with everything, and mine alone."""

from __future__ import annotations

import json
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.arena.models import Contest, Kind, Outcome, VoidReason, Vote
from portal.arena.ranking import Filters
from portal.arena.review_states import ReviewState
from portal.exports.models import Change, ChangeKind
from portal.feedback.vote_views import VOTES_PER_PAGE
from tests.arena.contests import compare, make_contest, make_vote
from tests.conftest import signed_in
from tests.playground.turns import make_variant

pytestmark = pytest.mark.django_db
LIST = reverse("feedback:vote_contributions")


def voted(owner: User | uuid.UUID, kind: Kind = Kind.BATTLE, prompt: str = "Which balance?", count: int = 2) -> Contest:
    """A contest whose first contender was preferred to each other."""
    variants = [make_variant(f"smol/{uuid.uuid4().hex[:8]}") for _ in range(count)]
    contest = make_contest(owner, variants, kind, prompt=prompt)
    for other in range(1, count):
        make_vote(compare(contest, positions=(0, other)), Outcome.A)
    contest.reveal()
    return contest


def withdraw(browser: Client, contest: Contest) -> int:
    [vote, *_] = Vote.objects.filter(comparison__contest=contest)
    return browser.post(reverse("feedback:withdraw_vote", args=[vote.pk])).status_code


def test_a_vote_says_what_it_was_on_and_whether_it_is_ranked(alice: User, alice_client: Client) -> None:
    contest = voted(alice, prompt="Which <balance>?")
    vote = Vote.objects.get()
    page = alice_client.get(LIST).content.decode()
    assert "Which &lt;balance&gt;?" in page
    assert contest.get_absolute_url() in page
    assert f'You preferred <span class="mono">{vote.variant_a.model_id}</span> to' in page
    assert ">Ranked<" in page
    vote.record_review(ReviewState.REJECTED, "Beside the point.")
    page = alice_client.get(LIST).content.decode()
    assert "set aside by reviewers" in page
    assert "Beside the point." in page
    vote.void(VoidReason.NAME_IN_ANSWER)
    assert "Not ranked: An answer gave a name away" in alice_client.get(LIST).content.decode()
    voted(alice, Kind.SIDE_BY_SIDE)
    assert "the names were known" in alice_client.get(LIST).content.decode()


def test_a_vote_whose_texts_are_deleted_is_still_listed(alice: User, alice_client: Client) -> None:
    contest = voted(alice)
    contest.contenders.first().conversation.delete()  # type: ignore[union-attr]
    page = alice_client.get(LIST).content.decode()
    assert "The texts are deleted" in page
    assert Vote.objects.get().variant_a.model_id in page


def test_what_is_withdrawn_is_gone_from_ranking_and_exports_and_stays_as_a_tombstone(
    alice: User, alice_client: Client
) -> None:
    contest = voted(alice)
    assert withdraw(alice_client, contest) == 302
    vote = Vote.objects.get()
    assert (vote.is_withdrawn, vote.outcome) == (True, "")
    assert not Filters(pool="models").votes().exists()
    told = Change.objects.filter(record_id=vote.pk).order_by("pk").last()
    assert told is not None
    assert told.change == ChangeKind.WITHDRAWN
    page = alice_client.get(LIST).content.decode()
    assert "What you said is deleted." in page
    assert "You preferred" not in page
    assert reverse("feedback:withdraw_vote", args=[vote.pk]) not in page


@pytest.mark.parametrize("kind", Kind.values)
def test_all_votes_of_one_verdict_go_together_also_when_its_texts_are_gone(
    kind: Kind, alice: User, alice_client: Client
) -> None:
    contest = voted(alice, kind, count=3 if kind == Kind.SIDE_BY_SIDE else 2)
    other = voted(alice, Kind.SIDE_BY_SIDE)
    assert withdraw(alice_client, contest) == 302
    assert Vote.objects.get(withdrawn_at=None).comparison.contest == other  # type: ignore[union-attr]
    other.contenders.first().conversation.delete()  # type: ignore[union-attr]
    left = Vote.objects.get(withdrawn_at=None)
    assert alice_client.post(reverse("feedback:withdraw_vote", args=[left.pk])).status_code == 302
    assert not Vote.objects.filter(withdrawn_at=None).exists()


def test_other_peoples_votes_do_not_exist(alice: User, bob: User, client: Client, visitor_client: Client) -> None:
    contest = voted(alice)
    for browser in (signed_in(bob), client, visitor_client):
        assert "Which balance?" not in browser.get(LIST).content.decode()
        assert withdraw(browser, contest) == 404
        assert json.loads(browser.get("/contributions/download/").content)["votes"] == []
        browser.post("/contributions/delete/")
    assert Vote.objects.filter(withdrawn_at=None).count() == 1
    assert signed_in(bob).get(reverse("feedback:withdraw_vote", args=[uuid.uuid4()])).status_code == 405


def test_everything_is_downloaded_and_deleted_with_the_votes(visitor: uuid.UUID, visitor_client: Client) -> None:
    voted(visitor)
    (row,) = json.loads(visitor_client.get("/contributions/download/").content)["votes"]
    assert (row["title"], row["outcome"], row["is_ranked"]) == ("Which balance?", "a", True)
    assert "Download all" in visitor_client.get("/contributions/").content.decode()
    assert "What 1 vote said is deleted" in visitor_client.get("/contributions/delete/").content.decode()
    page = visitor_client.post("/contributions/delete/", follow=True).content.decode()
    assert "1 vote was withdrawn." in page
    assert Vote.objects.get().is_withdrawn
    assert "No votes yet" not in visitor_client.get(LIST).content.decode()


def test_pages_take_the_same_queries_however_full(alice: User, alice_client: Client) -> None:
    voted(alice)
    with CaptureQueriesContext(connection) as one:
        alice_client.get(LIST)
    for _ in range(VOTES_PER_PAGE):
        voted(alice)
    with CaptureQueriesContext(connection) as many:
        page = alice_client.get(LIST).context["page"]
    assert len(many) == len(one)
    assert page.paginator.num_pages == 2
