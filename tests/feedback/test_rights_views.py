"""What I gave: where it stands and why, to download, to take back one by one or as a whole."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Kind, Outcome
from portal.arena.voting import vote_on_battle, vote_side_by_side
from portal.feedback.contribution_notes import ContributionNote, register_contribution_notes
from portal.feedback.models import Campaign, CampaignDraft, ReviewState, Submission
from tests.arena.contests import make_contest
from tests.conftest import signed_in
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.feedback.taking_part import WHOLE

pytestmark = pytest.mark.django_db

LIST = "/contributions/"
DELETE = "/contributions/delete/"
DOWNLOAD = "/contributions/download/"
COPIES_STAY = "files, which are not changed, and in copies of them"


def withdraw_url(submission: Submission) -> str:
    return reverse("feedback:withdraw_contribution", args=[submission.pk])


def test_the_review_and_its_reason_and_what_higher_layers_know_are_shown(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    submission.move_review([ReviewState.UNREVIEWED], ReviewState.REJECTED, "It cannot be reproduced.")
    register_contribution_notes("test", lambda ids: {submission.pk: [ContributionNote("In snapshot 7", "/exports/7/")]})
    try:
        page = alice_client.get(LIST).content.decode()
    finally:
        register_contribution_notes("test", lambda ids: {})
    assert "Rejected" in page
    assert "It cannot be reproduced." in page
    assert '<a href="/exports/7/">In snapshot 7</a>' in page
    assert ">Change<" not in page
    assert "cannot be brought back" in page, "it asks once"


@pytest.fixture
def in_a_snapshot() -> Iterator[None]:
    """Everything that somebody gave stands in one."""
    note = ContributionNote("In snapshot 7.", "/exports/7/", keeps_copy=True)
    register_contribution_notes("test", lambda ids: {each: [note] for each in ids})
    yield
    register_contribution_notes("test", lambda ids: {})


@pytest.mark.usefixtures("in_a_snapshot")
def test_what_a_snapshot_keeps_of_what_is_withdrawn_is_said_before_and_after(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    panel = reverse("feedback:panel", args=[submission.generation_id])
    for address in (LIST, DELETE, panel):
        assert COPIES_STAY in alice_client.get(address).text, address
    assert "Withdraw my judgement…" in alice_client.get(panel).text, "it asks once"
    withdrawn = alice_client.post(reverse("feedback:withdraw", args=[submission.generation_id])).text
    assert COPIES_STAY in withdrawn
    assert "Undo" in withdrawn
    assert COPIES_STAY in alice_client.get(LIST).text


def test_what_stands_in_no_snapshot_is_withdrawn_without_a_word_of_one(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    panel = reverse("feedback:panel", args=[submission.generation_id])
    for address in (LIST, panel):
        assert COPIES_STAY not in alice_client.get(address).text, address
    assert "Withdraw my judgement…" not in alice_client.get(panel).text
    alice_client.post(withdraw_url(submission))
    assert COPIES_STAY not in alice_client.get(LIST).text


@pytest.mark.parametrize("is_battle", [True, False], ids=["battle", "side by side"])
@pytest.mark.usefixtures("in_a_snapshot")
def test_a_contests_page_says_it_of_a_vote_too(is_battle: bool, alice_client: Client, alice: User) -> None:
    variants = [make_variant("smol/lm2"), make_variant("other/tiny")]
    contest = make_contest(alice, variants, kind=Kind.BATTLE if is_battle else Kind.SIDE_BY_SIDE)
    if is_battle:
        vote_on_battle(Actor(user=alice), contest, Outcome.A)
    else:
        vote_side_by_side(Actor(user=alice), contest, 1, 0)
    page = alice_client.get(contest.get_absolute_url()).text
    assert COPIES_STAY in page
    assert "cannot be brought back" in page, "it asks once"
    assert COPIES_STAY in alice_client.get(reverse("feedback:vote_contributions")).text
    after = alice_client.post(reverse("arena:withdraw_vote", args=[contest.pk, 1]), follow=True).text
    assert "You withdrew your vote" in after
    assert COPIES_STAY in after


@pytest.mark.parametrize("place", [0, 1])
def test_a_turn_with_several_votes_says_it_whichever_of_them_was_published(
    place: int, alice_client: Client, alice: User
) -> None:
    variants = [make_variant("smol/lm2"), make_variant("other/tiny"), make_variant("third/one")]
    contest = make_contest(alice, variants, kind=Kind.SIDE_BY_SIDE)
    published = vote_side_by_side(Actor(user=alice), contest, 1, 0)[place].pk
    note = ContributionNote("In snapshot 7.", "/exports/7/", keeps_copy=True)
    register_contribution_notes("test", lambda ids: {each: [note] for each in ids if each == published})
    try:
        assert COPIES_STAY in alice_client.get(contest.get_absolute_url()).text
    finally:
        register_contribution_notes("test", lambda ids: {})
    assert COPIES_STAY not in alice_client.get(contest.get_absolute_url()).text


def test_what_was_reviewed_can_still_be_withdrawn(alice_client: Client, alice: User) -> None:
    submission = judge(alice, comment="Secret after all.")
    submission.move_review([ReviewState.UNREVIEWED], ReviewState.ACCEPTED)
    assert alice_client.post(withdraw_url(submission)).status_code == 302
    tombstone = Submission.objects.get()
    assert (tombstone.is_withdrawn, tombstone.values(), tombstone.review_state) == (True, {}, "accepted")


def test_other_peoples_do_not_exist(alice: User, bob: User, client: Client) -> None:
    submission = judge(alice)
    for browser in (signed_in(bob), client):
        assert browser.post(withdraw_url(submission)).status_code == 404
        assert json.loads(browser.get(DOWNLOAD).content)["contributions"] == []
    assert signed_in(bob).get(withdraw_url(submission)).status_code == 405
    assert not Submission.objects.get().is_withdrawn


def test_everything_is_downloaded_and_deleted_without_an_account_too(client: Client) -> None:
    client.post("/feedback/campaigns/next-open-model/answer/", WHOLE)
    download = client.get(DOWNLOAD)
    assert "attachment" in download["Content-Disposition"]
    (row,) = json.loads(download.content)["contributions"]
    assert (row["about"], row["answers"]["size"], row["consent"]) == ("campaign", "small", "quote")
    assert row["licence"] == "CC-BY-4.0"
    assert "1 submission is deleted" in client.get(DELETE).content.decode()
    assert not Submission.objects.get().is_withdrawn
    assert client.post(DELETE)["Location"] == LIST
    assert Submission.objects.get().is_withdrawn
    assert "what you said is deleted" in client.get(LIST).content.decode()


def test_deleting_everything_takes_what_was_only_written_and_nobody_elses(alice: User, bob: User) -> None:
    judge(alice)
    kept = judge(bob)
    campaign = Campaign.objects.get()
    CampaignDraft.objects.create(campaign=campaign, owner=alice, values={"wish": "x"})
    CampaignDraft.objects.create(campaign=campaign, visitor=uuid.uuid4(), values={"wish": "y"})
    signed_in(alice).post(DELETE)
    assert Submission.objects.filter(withdrawn_at=None).get() == kept
    assert CampaignDraft.objects.get().values == {"wish": "y"}


def test_after_withdrawing_one_stands_where_it_stands(alice_client: Client, alice: User) -> None:
    first, *_others = [judge(alice, make_generation(alice, prompt=f"Prompt {number}")) for number in range(27)]
    page = alice_client.post(withdraw_url(first), follow=True)
    assert page.redirect_chain[-1][0].endswith(f"#contribution-{first.pk}")
    assert f'id="contribution-{first.pk}"' in page.text
    contest = make_contest(alice, [make_variant("smol/lm2"), make_variant("other/tiny")])
    vote = vote_on_battle(Actor(user=alice), contest, Outcome.A)
    page = alice_client.post(reverse("feedback:withdraw_vote", args=[vote.pk]), follow=True)
    assert page.redirect_chain[-1][0] == f"{reverse('feedback:vote_contributions')}#vote-{vote.pk}"
