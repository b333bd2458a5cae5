"""Known limitations: proposed, made, changed, seen by others, replayed; and what contributors are told and asked."""

from __future__ import annotations

import smtplib
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.event_mails import send_due_mails
from portal.catalog.following import follow_card
from portal.catalog.models import CardEvent
from portal.exports.models import Snapshot, SnapshotRecord
from portal.feedback.models import ReviewState, Submission
from portal.feedback.withdrawing import withdraw_submission
from portal.playground.models import Generation
from portal.reviews.models import Event, Inquiry, Limitation, MeToo, NoMail, Notice, Replay, ReplayRun
from portal.reviews.queries.limitations import propose_limitations, replays_of
from portal.reviews.services.limitations import LimitationChanged, change_limitation, make_limitation
from portal.reviews.services.notice_mails import no_mail_token, send_due_notices
from portal.reviews.services.replays import ask_again, continue_replays, start_replay
from portal.reviews.views.limitations import REPORTS_PER_PAGE
from tests.conftest import signed_in
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


def report(owner: User, text: str, prompt: str = "What is the capital of Australia?") -> Submission:
    submission = judge(owner, make_generation(owner, prompt=prompt, output="Sydney."), thumb="down", comment=text)
    Submission.objects.filter(pk=submission.pk).update(review_state=ReviewState.ACCEPTED)
    submission.refresh_from_db()
    return submission


@pytest.fixture
def reports(alice: User, bob: User) -> list[Submission]:
    return [
        report(alice, "It claims that Sydney is the capital of Australia"),
        report(bob, "Says Sydney is Australia's capital", "Capital of Australia, in one word?"),
        report(bob, "Refuses to write a poem about kitchen knives"),
    ]


@pytest.fixture
def limitation(reports: list[Submission], maintainer: User) -> Limitation:
    card = make_variant().card
    type(card).objects.filter(pk=card.pk).update(is_published=True)
    card.refresh_from_db()
    return make_limitation(
        maintainer, card, [str(each.pk) for each in reports[:2]], title="Takes Sydney for the capital"
    )


def test_reports_that_say_the_same_are_proposed_together(reports: list[Submission]) -> None:
    proposals, alone = propose_limitations(make_variant().card)
    assert [{submission for submission, _text in each.reports} for each in proposals] == [set(reports[:2])]
    assert [submission for submission, _text in alone] == [reports[2]]


def test_making_one_tells_each_contributor_once_and_keeps_the_runs(
    limitation: Limitation, reports: list[Submission], alice: User, bob: User, maintainer: User
) -> None:
    assert limitation.reproductions.count() == 2
    assert sorted(Notice.objects.values_list("owner__username", flat=True)) == ["alice", "bob"]
    assert Event.objects.filter(target="reviews.limitation", action="made", actor_id=maintainer.pk).exists()
    with pytest.raises(ValidationError):
        make_limitation(maintainer, limitation.card, [str(reports[0].pk)], title="Again")
    with pytest.raises(ValidationError):
        make_limitation(maintainer, limitation.card, [], title="Of nothing")


def test_a_maintainer_makes_one_in_the_browser(reports: list[Submission], maintainer_client: Client) -> None:
    card = make_variant().card
    address = reverse("reviews:propose", args=[card.pk])
    assert "Sydney" in maintainer_client.get(address).text
    refused = maintainer_client.post(address, {"title": "", "severity": "high", "state": "open"})
    assert refused.status_code == 422
    sent = {"title": "Sydney", "severity": "high", "state": "open", "report": [str(reports[0].pk), "nonsense"]}
    assert maintainer_client.post(address, sent).status_code == 302
    assert Limitation.objects.get().reports.count() == 1


def test_reports_to_choose_from_lead_to_their_items(
    reports: list[Submission], maintainer_client: Client, alice: User
) -> None:
    address = reverse("reviews:propose", args=[make_variant().card.pk])
    with CaptureQueriesContext(connection) as few:
        page = maintainer_client.get(address).text
    for each in reports:
        assert f'href="{item_of(each).get_absolute_url()}">Item {item_of(each).pk}</a>' in page
    for number in range(6):
        report(alice, f"It cannot add the numbers {number} and {number + 1}")
    with CaptureQueriesContext(connection) as many:
        assert maintainer_client.get(address).text.count('class="review-report"') == 9
    assert len(many) == len(few)


def test_maintainers_alone_read_what_a_limitation_was_made_of(
    limitation: Limitation, reports: list[Submission], maintainer_client: Client, reviewer_client: Client,
    alice_client: Client, operator_client: Client,
) -> None:  # fmt: skip
    address = limitation.get_absolute_url()
    page = maintainer_client.get(address).text
    for each, said in zip(reports[:2], ("It claims that Sydney is", "Says Sydney is Australia"), strict=True):
        assert f'href="{item_of(each).get_absolute_url()}"' in page
        assert said in page
        assert str(each.generation_id) in page
    assert "Capital of Australia, in one word?" in page
    assert "kitchen knives" not in page
    for client in (Client(), alice_client, reviewer_client, operator_client):
        assert "Says Sydney" not in (public := client.get(address).text)
        assert "Capital of Australia, in one word?" not in public
        assert str(reports[1].generation_id) not in public
    withdraw_submission(Actor(user=reports[1].owner), reports[1].pk)
    page = maintainer_client.get(address).text
    assert "Withdrawn: what was said is deleted." in page
    assert "Says Sydney" not in page
    assert str(reports[1].generation_id) not in page


def test_a_limitations_reports_come_in_pages_with_as_many_queries_for_many_as_for_few(
    reports: list[Submission], maintainer: User, maintainer_client: Client, alice: User
) -> None:
    card = make_variant().card
    few = make_limitation(maintainer, card, [str(reports[0].pk)], title="Takes Sydney for the capital")
    with CaptureQueriesContext(connection) as for_few:
        maintainer_client.get(few.get_absolute_url())
    said = [report(alice, f"It cannot add the numbers {number} and {number}") for number in range(REPORTS_PER_PAGE + 1)]
    many = make_limitation(maintainer, card, [str(each.pk) for each in said], title="Cannot add")
    address = many.get_absolute_url()
    with CaptureQueriesContext(connection) as for_many:
        first = maintainer_client.get(address).text
    assert len(for_many) == len(for_few)
    second = maintainer_client.get(address, {"page": "2"}).text
    found = [sum(str(each.generation_id) in page for each in said) for page in (first, second)]
    assert found == [REPORTS_PER_PAGE, 1]
    assert f'href="{address}?page=2"' in first
    refused = maintainer_client.post(reverse("reviews:change_limitation", args=[many.pk]), {"title": ""})
    assert refused.status_code == 422
    assert f'href="{address}?page=2"' in refused.text


def test_the_page_and_the_cards_list_are_public_as_the_card_is(limitation: Limitation, bob_client: Client) -> None:
    of_card = reverse("reviews:card_limitations", args=[limitation.card_id])
    for client in (Client(), bob_client):
        assert limitation.title in client.get(limitation.get_absolute_url()).text
        assert limitation.title in client.get(of_card).text
        assert limitation.title in client.get(of_card, headers={"HX-Request": "true"}).text
    assert of_card in Client().get(limitation.card.get_absolute_url()).text
    limitation.card.is_published = False
    limitation.card.save()
    assert Client().get(limitation.get_absolute_url()).status_code == 404
    assert Client().get(of_card).status_code == 404


@pytest.mark.parametrize("name", ["change_limitation", "replay"])
def test_changing_and_replaying_are_a_maintainers(name: str, limitation: Limitation, reviewer_client: Client) -> None:
    address = reverse(f"reviews:{name}", args=[limitation.pk])
    assert reviewer_client.post(address).status_code == 404
    assert Client().post(address).status_code == 404
    assert reviewer_client.get(address).status_code == 405


def test_me_too_counts_each_once(limitation: Limitation, bob_client: Client, visitor_client: Client) -> None:
    address = reverse("reviews:me_too", args=[limitation.pk])
    for client in (bob_client, bob_client, visitor_client, visitor_client):
        assert client.post(address).status_code == 302
    assert MeToo.objects.count() == 2
    assert "2 saw it too" in bob_client.get(limitation.get_absolute_url()).text


def test_a_new_state_is_told_and_a_lost_update_is_refused(
    limitation: Limitation, maintainer: User, maintainer_client: Client
) -> None:
    Notice.objects.all().delete()
    stale = Limitation.objects.get(pk=limitation.pk)
    assert change_limitation(maintainer, limitation, 1, state="confirmed")
    assert Notice.objects.count() == 2
    with pytest.raises(LimitationChanged):
        change_limitation(maintainer, stale, 1, title="Another")
    form = {"title": "Another", "severity": "low", "state": "mitigated", "version": "1"}
    address = reverse("reviews:change_limitation", args=[limitation.pk])
    assert "Say in which variant" in maintainer_client.post(address, form).text
    form["mitigated_in"] = str(make_variant(slug="next").pk)
    assert maintainer_client.post(address, form).status_code == 409
    assert maintainer_client.post(address, {**form, "version": "2"}).status_code == 302
    limitation.refresh_from_db()
    assert (limitation.title, limitation.state, limitation.version) == ("Another", "mitigated", 3)
    assert Event.objects.filter(target="reviews.limitation", action="changed").count() == 2


def test_followers_of_the_card_hear_of_a_new_one_once(
    reports: list[Submission], maintainer: User, make_user: Callable[..., User]
) -> None:
    card = make_variant().card
    type(card).objects.filter(pk=card.pk).update(is_published=True)
    for user in (maintainer, make_user("follower")):
        follow_card(card, user)
    limitation = make_limitation(maintainer, card, [str(reports[0].pk)], title="Takes Sydney for the capital")
    change_limitation(maintainer, limitation, 1, state="confirmed")
    event = CardEvent.objects.get(kind="limitation")
    assert (event.title, event.address) == (limitation.title, limitation.get_absolute_url())
    assert send_due_mails() == 1
    assert [message.to for message in outbox.outbox] == [["follower@example.org"]]


def test_contributors_get_one_mail_of_what_waits_and_each_notice_at_most_once(
    limitation: Limitation, maintainer: User, alice: User, bob: User
) -> None:
    change_limitation(maintainer, limitation, 1, state="confirmed")
    assert send_due_notices() == 0  # what is told within the same minutes comes together
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    Notice.objects.filter(owner=bob).first().claim()  # type: ignore[union-attr]  a worker that died midway
    with mock.patch("django.core.mail.EmailMessage.send", side_effect=smtplib.SMTPServerDisconnected("away")):
        assert send_due_notices() == 0
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert (send_due_notices(), send_due_notices()) == (2, 0)
    (first, second) = sorted(outbox.outbox, key=lambda message: message.to)
    assert first.to == [alice.email]
    assert "is now a known limitation" in first.body
    assert "is confirmed" in first.body
    assert limitation.get_absolute_url() in first.body
    assert second.body.count(limitation.get_absolute_url()) == 1


def test_what_was_read_is_not_mailed_and_a_mail_ends_such_mails(
    limitation: Limitation, alice: User, bob: User, alice_client: Client, bob_client: Client
) -> None:
    alice_client.get(reverse("reviews:questions"))
    address = reverse("reviews:no_mail", args=[no_mail_token(bob)])
    browser = Client(enforce_csrf_checks=True)
    assert "bob gets mail" in browser.get(address).text
    assert not NoMail.objects.exists()
    assert "bob gets no more mail" in browser.post(address, {"List-Unsubscribe": "One-Click"}).text
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert send_due_notices() == 0
    assert set(Notice.objects.values_list("state", flat=True)) == {"dropped"}
    for forged in (no_mail_token(bob)[:-2], "x"):
        assert browser.post(reverse("reviews:no_mail", args=[forged])).status_code == 404
    choice = reverse("reviews:mail")
    assert bob_client.get(choice).status_code == 405
    assert Client().post(choice).status_code == 302
    assert "It comes by mail too" in bob_client.post(choice, {"wanted": "yes"}, follow=True).text
    assert not NoMail.objects.exists()
    assert "No more mail of this comes" in bob_client.post(choice, {"wanted": "no"}, follow=True).text
    assert NoMail.objects.get().owner == bob


def test_the_contributions_page_says_what_became_of_each(
    limitation: Limitation,
    reports: list[Submission],
    maintainer: User,
    bob_client: Client,
    django_assert_max_num_queries: Callable[..., AbstractContextManager[CaptureQueriesContext]],
) -> None:
    address = reverse("feedback:contributions")
    snapshot = Snapshot.objects.create(state="succeeded", number=3, title="Third", tables=["submissions"])
    SnapshotRecord.objects.create(snapshot=snapshot, record_id=reports[1].pk, version=1)
    page = bob_client.get(address).text
    assert f'<a href="{limitation.get_absolute_url()}">Part of the known limitation' in page
    assert f'<a href="{snapshot.get_absolute_url()}">In snapshot 3.</a>' in page
    assert "files, which are not changed" in page, "said before one withdraws"
    with CaptureQueriesContext(connection) as before:
        bob_client.get(address)
    variant = make_variant(slug="next")
    change_limitation(maintainer, limitation, 1, state="mitigated", mitigated_in=variant)
    more = make_limitation(maintainer, limitation.card, [str(reports[2].pk)], title="Refuses poems")
    SnapshotRecord.objects.create(snapshot=snapshot, record_id=reports[2].pk, version=1)
    with django_assert_max_num_queries(len(before)):
        page = bob_client.get(address).text
    assert f"mitigated in {variant.model_id}." in page
    assert more.title in page


def test_a_replay_asks_each_prompt_once_and_says_which_flipped(
    limitation: Limitation, maintainer: User, maintainer_client: Client
) -> None:
    variant = make_variant(slug="next")
    replay = start_replay(maintainer, limitation, variant, "phrase", "sydney")
    ask_again(maintainer, replay)
    runs = Generation.objects.filter(variant=variant)
    assert sorted(runs.values_list("prompt", flat=True)) == [
        "Capital of Australia, in one word?",
        "What is the capital of Australia?",
    ]
    assert {run.conversation.owner for run in runs} == {maintainer}
    assert {run.params["seed"] for run in runs} == {7}
    first, second = runs.order_by("prompt")
    for run, output in ((first, "Canberra."), (second, "It is Sydney.")):
        Generation.objects.filter(pk=run.pk).update(state="succeeded", output=output, finished_at=timezone.now())
    ((_replay, found),) = replays_of(limitation)
    assert {each.row.original.prompt: each.flipped for each in found} == {first.prompt: True, second.prompt: False}
    judged = ReplayRun.objects.get(original__prompt=second.prompt)
    maintainer_client.post(reverse("reviews:judge_run", args=[judged.pk]), {"flipped": "yes"})
    page = maintainer_client.get(limitation.get_absolute_url()).text
    assert "2 of 2 known answers flipped" in page
    assert f">{variant.model_id}</option>" in page


def test_what_a_limit_kept_a_replay_from_asking_is_asked_by_itself(
    limitation: Limitation, maintainer: User, maintainer_client: Client, settings: Any
) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 1
    variant = make_variant(slug="next")
    start_replay(maintainer, limitation, variant, "exact")
    runs = Generation.objects.filter(variant=variant)
    page = maintainer_client.get(limitation.get_absolute_url()).text
    assert (runs.count(), "tried again by itself" in page, "It flipped" in page) == (1, True, False)
    assert continue_replays() == 0
    runs.update(state="succeeded", output="Canberra.", finished_at=timezone.now())
    assert (continue_replays(), runs.count()) == (1, 2)
    assert "tried again by itself" not in maintainer_client.get(limitation.get_absolute_url()).text
    runs.delete()
    assert continue_replays() == 0
    settings.MAX_CONCURRENT_GENERATIONS = 0
    ask_again(maintainer, Replay.objects.get())
    settings.MAX_CONCURRENT_GENERATIONS = 5
    waiting = ReplayRun.objects.filter(tried_until__isnull=False)
    assert waiting.count() == 2
    waiting.update(tried_until=timezone.now() - timedelta(seconds=1))
    assert continue_replays() == 0
    waiting.update(tried_until=timezone.now() + timedelta(hours=1))
    maintainer.groups.clear()
    assert continue_replays() == 0


def test_a_contributor_answers_a_question_and_nobody_else_can(
    alice: User, bob_client: Client, alice_client: Client, reviewer: User, visitor: uuid.UUID, visitor_client: Client
) -> None:
    for owner, client in ((alice, alice_client), (visitor, visitor_client)):
        item = item_of(judge(owner))
        give_verdict(reviewer, item, "question", note="In which sentence?")
        inquiry = Inquiry.objects.get(item=item)
        address = reverse("reviews:answer", args=[inquiry.pk])
        page = client.get(reverse("reviews:questions")).text
        for words in ("In which sentence?", "What is a steelyard?", "What you said", "Good answer"):
            assert words in page
        assert reverse("reviews:questions") in client.get(reverse("feedback:contributions")).text.split("<h2")[1]
        assert "In which sentence?" not in bob_client.get(reverse("reviews:questions")).text
        assert bob_client.post(address, {"answer": "Mine"}).status_code == 404
        assert client.post(address, {"answer": ""}).status_code == 422
        assert client.post(address, {"answer": "In the first."}).status_code == 302
        assert client.post(address, {"answer": "Again."}).status_code == 404
        item.refresh_from_db()
        assert item.state == "waiting"
        assert "In the first." in signed_in(reviewer).get(item.get_absolute_url()).text
