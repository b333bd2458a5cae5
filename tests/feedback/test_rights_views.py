"""What I gave: where it stands and why, to download, to take back one by one or as a whole."""

from __future__ import annotations

import json
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.feedback.contribution_notes import ContributionNote, register_contribution_notes
from portal.feedback.models import Campaign, CampaignDraft, ReviewState, Submission
from tests.conftest import signed_in
from tests.feedback.judgements import judge
from tests.feedback.test_campaign_views import WHOLE

pytestmark = pytest.mark.django_db

LIST = "/contributions/"
DELETE = "/contributions/delete/"
DOWNLOAD = "/contributions/download/"


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


def test_what_a_snapshot_keeps_of_what_is_withdrawn_is_said_before_and_after(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    before, after = "whose files are not changed", "The files of a snapshot published before keep it."
    assert before not in alice_client.get(LIST).text
    note = ContributionNote("In snapshot 7.", "/exports/7/", keeps_copy=True)
    register_contribution_notes("test", lambda ids: {submission.pk: [note]})
    try:
        assert before in alice_client.get(LIST).text
        alice_client.post(withdraw_url(submission))
        page = alice_client.get(LIST).text
    finally:
        register_contribution_notes("test", lambda ids: {})
    assert (before in page, after in page) == (False, True)
    assert after not in alice_client.get(LIST).text


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
