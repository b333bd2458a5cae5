"""Campaigns over HTTP: the appeal, the form, drafts, one per person, the editor, frames, QR code."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.feedback.models import Campaign, CampaignDraft, Submission
from portal.feedback.queries import answer_questionnaire
from tests.conftest import signed_in
from tests.feedback.taking_part import WHOLE, html, send, url

pytestmark = pytest.mark.django_db

STORED = {
    "uses": ["coding", "research"],
    "size": "small",
    "priorities": [["reasoning"], ["languages", "speed"], ["context"], ["tools"], ["openness"]],
    "today": {"facts": "usable"},
    "would_switch": 7,
    "memory": 23.5,
    "licence_matters": "no",
    "wish": "A model that says when it does not know.",
}


def test_somebody_without_an_account_takes_part_and_is_thanked(client: Client, campaign: Campaign) -> None:
    assert "Take part" in html(client, url("campaign", campaign))
    response = send(client, campaign)
    assert response["Location"] == url("thanks", campaign)
    submission = Submission.objects.get()
    assert submission.values() == STORED
    assert (submission.consent, submission.licence, submission.language) == ("quote", "CC-BY-4.0", "en")
    assert submission.shown == {"questionnaire": "next-open-model", "version": 1, "language": "en"}
    assert submission.visitor is not None
    assert "What happens next" in html(client, url("thanks", campaign))
    assert "1</strong> answer" in html(client, url("campaign", campaign))


def test_thanks_are_for_those_who_sent_something(client: Client, campaign: Campaign) -> None:
    assert client.get(url("thanks", campaign))["Location"] == url("campaign", campaign)


def test_what_was_written_is_kept_and_gone_once_it_is_sent(alice: User, campaign: Campaign) -> None:
    page = signed_in(alice).post(url("campaign_answer", campaign), {"wish": "Half a sen", "save": "1"})
    assert "Saved, not sent yet" in page.content.decode()
    assert CampaignDraft.objects.get().values == {"wish": "Half a sen"}
    elsewhere = signed_in(alice)
    assert "Go on where you stopped" in html(elsewhere, url("campaign", campaign))
    assert "Half a sen</textarea>" in html(elsewhere, url("campaign_answer", campaign))
    send(elsewhere, campaign)
    assert not CampaignDraft.objects.exists()


def typed_places(page: str) -> dict[str, str]:
    """What the fields of the ranking are filled in with."""
    return dict(re.findall(r'name="priorities\.([a-z]+)" value="([^"]*)"', page))


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param({"reasoning": "3", "languages": "9", "tools": "9", "openness": "12"}, id="half of it, with gaps"),
        pytest.param({"reasoning": "0", "speed": "007"}, id="what is no place"),
        pytest.param({"reasoning": "2", "languages": "2", "speed": "2"}, id="ties"),
    ],
)
def test_a_saved_draft_shows_a_ranking_again_as_it_was_typed(
    client: Client, campaign: Campaign, typed: dict[str, str]
) -> None:
    form = {f"priorities.{key}": place for key, place in typed.items()}
    saved = client.post(url("campaign_answer", campaign), {**form, "save": "1"})
    assert "Saved, not sent yet" in saved.text
    assert typed_places(saved.text) == typed
    assert typed_places(html(client, url("campaign_answer", campaign))) == typed
    refused = client.post(url("campaign_answer", campaign), {**WHOLE, "memory": "20000", **form})
    assert refused.status_code == 422
    assert typed_places(refused.text).items() >= typed.items()


def test_what_no_field_for_places_sends_is_shown_again_and_kept_no_further_than_a_place_is_long(
    client: Client, campaign: Campaign
) -> None:
    form = {"priorities.reasoning": "1" * 5_000, "priorities.speed": "2\x00", "save": "1"}
    assert "Saved, not sent yet" in client.post(url("campaign_answer", campaign), form).text
    assert CampaignDraft.objects.get().values["priorities"]["reasoning"] == "1" * 12
    assert "speed" not in typed_places(html(client, url("campaign_answer", campaign)))


def test_a_draft_from_before_places_were_kept_shows_the_order(client: Client, campaign: Campaign) -> None:
    client.post(url("campaign_answer", campaign), {"wish": "Half", "save": "1"})
    CampaignDraft.objects.update(values={"priorities": [["speed"], ["tools", "context"]]})
    shown = typed_places(html(client, url("campaign_answer", campaign)))
    assert shown == {"speed": "1", "tools": "2", "context": "2"}


def test_a_second_sending_changes_the_first_until_it_is_reviewed(alice: User, campaign: Campaign) -> None:
    client = signed_in(alice)
    send(client, campaign)
    assert send(client, campaign, wish="Something else.", version="1").status_code == 302
    submission = Submission.objects.get()
    assert (submission.version, submission.values()["wish"]) == (2, "Something else.")
    stale = send(client, campaign, wish="A third thing.", version="1")
    assert stale.status_code == 409
    assert submission.move_review(["unreviewed"], "accepted")  # type: ignore[arg-type, list-item]
    refused = send(client, campaign, wish="A third thing.", version="2")
    assert refused.status_code == 409
    assert "This was reviewed" in refused.content.decode()
    assert Submission.objects.get().values()["wish"] == "Something else."


def test_where_it_is_wished_one_takes_part_as_often_as_one_likes(alice: User, campaign: Campaign) -> None:
    Campaign.objects.update(is_once=False)
    client = signed_in(alice)
    send(client, campaign)
    send(client, campaign)
    assert Submission.objects.count() == 2


def test_what_is_wrong_is_said_beside_its_question_and_nothing_is_stored(client: Client, campaign: Campaign) -> None:
    response = send(client, campaign, uses=[], memory="20000", would_switch="11")
    page = response.content.decode()
    assert response.status_code == 422
    for words in ("This question needs an answer.", "from 0 to 10000", "from 0 to 10.", 'href="#campaign-memory"'):
        assert words in page
    summary = page.partition("data-error-summary")[2].partition("</ul>")[0]
    assert "3 things need your attention." in summary
    assert summary.count("<li>") == 3
    assert "A model that says when it does not know.</textarea>" in page
    assert not Submission.objects.exists()


def test_a_ranking_that_was_refused_shows_the_places_as_they_were_typed(client: Client, campaign: Campaign) -> None:
    typed = {"reasoning": "1", "languages": "9", "speed": "9", "context": "0", "tools": "", "openness": "007"}
    response = send(client, campaign, **{f"priorities.{key}": place for key, place in typed.items()})
    assert response.status_code == 422
    assert "these have none yet" in response.text
    assert typed_places(response.text) == {key: place for key, place in typed.items() if place}
    whole = {**typed, "context": "20", "tools": "30"}
    assert send(client, campaign, **{f"priorities.{key}": place for key, place in whole.items()}).status_code == 302
    stored = [["reasoning"], ["openness"], ["languages", "speed"], ["context"], ["tools"]]
    assert Submission.objects.get().values()["priorities"] == stored
    again = html(client, url("campaign_answer", campaign))
    kept = {key: str(place) for place, group in enumerate(stored, start=1) for key in group}
    assert typed_places(again) == kept, "what is stored is an order"


def test_personal_data_is_shown_before_anything_is_stored_and_replaced_where_ticked(
    client: Client, campaign: Campaign
) -> None:
    text = "Mail me at jane@example.org or bob@example.org."
    first = send(client, campaign, wish=text)
    page = first.content.decode()
    assert first.status_code == 422
    assert not Submission.objects.exists()
    given = first.context["given"]
    assert [datum.finding.text for datum in given.unseen] == ["jane@example.org", "bob@example.org"]
    assert "Before you send" in page
    send(client, campaign, wish=text, seen=given.seen_digest, redact=[given.unseen[0].name])
    assert Submission.objects.get().values()["wish"] == "Mail me at [email] or bob@example.org."


def test_what_was_seen_counts_for_those_words_alone(client: Client, campaign: Campaign) -> None:
    seen = send(client, campaign, wish="jane@example.org").context["given"].seen_digest
    assert send(client, campaign, wish="other@example.org", seen=seen).status_code == 422


def test_before_it_begins_and_after_it_ends_nothing_is_taken(client: Client, campaign: Campaign) -> None:
    now = timezone.now()
    for times, words in (
        ({"opens_at": now + timedelta(days=1)}, "Opens"),
        ({"opens_at": now - timedelta(days=2), "closes_at": now - timedelta(seconds=1)}, "has ended"),
    ):
        Campaign.objects.update(**times)
        assert send(client, campaign)["Location"] == url("campaign", campaign)
        assert words in html(client, url("campaign", campaign))
    assert not Submission.objects.exists()


def test_one_for_people_with_an_account_asks_the_others_to_sign_in(client: Client, campaign: Campaign) -> None:
    Campaign.objects.update(allows_anonymous=False)
    assert "Sign in to take part" in html(client, url("campaign", campaign))
    assert reverse("account_login") in send(client, campaign)["Location"]
    assert not Submission.objects.exists()


def test_nobody_but_maintainers_sees_what_is_not_published(
    client: Client, alice_client: Client, maintainer_client: Client, campaign: Campaign
) -> None:
    Campaign.objects.update(is_published=False)
    for name in ("campaign", "campaign_answer", "thanks", "results", "embedded", "qr_code"):
        for stranger in (client, alice_client):
            assert stranger.get(url(name, campaign)).status_code == 404, name
    assert "Not published" in html(maintainer_client, url("campaign", campaign))
    assert campaign.title not in html(alice_client, reverse("feedback:campaigns"))


def test_quotes_and_editors_do_not_exist_for_others(alice_client: Client, client: Client, campaign: Campaign) -> None:
    for address in (url("quotes", campaign), url("edit_campaign", campaign), reverse("feedback:new_campaign")):
        assert alice_client.get(address).status_code == 404
        assert reverse("account_login") in client.get(address)["Location"]


def test_the_embedded_card_alone_may_stand_in_other_sites_frames(client: Client, campaign: Campaign) -> None:
    framed = client.get(url("embedded", campaign))
    assert "frame-ancestors *" in framed["Content-Security-Policy"]
    assert "X-Frame-Options" not in framed
    assert b"<form" not in framed.content
    page = client.get(url("campaign", campaign))
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"


def test_the_qr_code_is_a_picture_of_the_address(client: Client, campaign: Campaign) -> None:
    picture = client.get(url("qr_code", campaign))
    assert picture["Content-Type"] == "image/svg+xml"
    assert picture.content.startswith(b"<?xml") or b"<svg" in picture.content


def test_wrong_methods_are_refused(maintainer_client: Client, campaign: Campaign) -> None:
    for name in ("campaign", "thanks", "results", "embedded", "qr_code"):
        assert maintainer_client.post(url(name, campaign)).status_code == 405


def test_a_maintainer_makes_and_changes_a_campaign_and_the_second_editor_sees_both(
    maintainer_client: Client, campaign: Campaign
) -> None:
    values = {
        "title": "Longer answers?", "slug": "longer", "summary": "", "appeal": "**Please**", "thanks": "",
        "questionnaire": campaign.questionnaire_id, "opens_at": "2026-01-01T10:00", "closes_at": "", "goal": "10",
        "is_once": "on", "results_shown": "never", "is_published": "on", "version": "0",
    }  # fmt: skip
    today = timezone.now()
    page = html(maintainer_client, reverse("feedback:new_campaign"))
    assert any(f'value="{each:%Y-%m-%d}T' in page for each in (today, timezone.now()))
    made = maintainer_client.post(reverse("feedback:new_campaign"), values)
    assert made["Location"] == "/feedback/campaigns/longer/"
    assert "<strong>Please</strong>" in html(maintainer_client, "/feedback/campaigns/longer/")
    again = maintainer_client.post(reverse("feedback:new_campaign"), values)
    assert "There is a campaign of this name" in again.content.decode() or again.status_code == 422
    edit = "/feedback/campaigns/longer/edit/"
    assert maintainer_client.post(edit, {**values, "goal": "20", "version": "1"}).status_code == 302
    second = maintainer_client.post(edit, {**values, "goal": "30", "version": "1"})
    assert second.status_code == 409
    page = second.content.decode()
    assert 'value="30"' in page
    assert '<dd class="conflict__value">20</dd>' in " ".join(page.split()).replace("> 20 <", ">20<")
    assert Campaign.objects.get(slug="longer").goal == 20
    bad = maintainer_client.post(edit, {**values, "version": "2", "closes_at": "2025-01-01T10:00"})
    assert "Must be later than the opening." in bad.content.decode()


def test_one_campaign_takes_one_submission_of_a_visitor_whatever_the_race(campaign: Campaign) -> None:
    from django.db import IntegrityError, transaction

    visitor = uuid.uuid4()
    Submission.on(campaign, campaign.questionnaire, visitor=visitor).save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Submission.on(campaign, campaign.questionnaire, visitor=visitor).save()
    assert answer_questionnaire().slug == "answer-quality"


def test_a_new_campaign_is_named_after_its_title_and_keeps_a_name_once_it_has_one(
    maintainer_client: Client, campaign: Campaign
) -> None:
    values = {
        "title": campaign.title, "slug": "", "summary": "", "appeal": "", "thanks": "", "goal": "",
        "questionnaire": campaign.questionnaire_id, "opens_at": "2026-01-01T10:00", "closes_at": "",
        "results_shown": "never", "version": "0",
    }  # fmt: skip
    first, second = (maintainer_client.post(reverse("feedback:new_campaign"), values)["Location"] for _ in range(2))
    assert second == f"{first.rstrip('/')}-2/"
    unnamed = maintainer_client.post(f"{first}edit/", {**values, "version": "1"})
    assert unnamed.status_code == 422


def test_the_questionnaires_to_choose_from_are_called_by_title_and_version(
    maintainer_client: Client, campaign: Campaign
) -> None:
    asked = campaign.questionnaire
    page = html(maintainer_client, reverse("feedback:new_campaign"))
    assert f">{asked.title}, version {asked.version} ({asked.slug})</option>" in page
    assert f">{asked.slug} v{asked.version}<" not in page
