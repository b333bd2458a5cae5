"""Known limitations: proposed, made, changed, seen by others, replayed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.feedback.withdrawing import withdraw_submission
from portal.playground.models import Generation
from portal.reviews.models import Event, Limitation, MeToo, Notice, Replay, ReplayRun
from portal.reviews.queries.limitations import propose_limitations, replays_of
from portal.reviews.services.limitations import LimitationChanged, change_limitation, make_limitation
from portal.reviews.services.replays import ask_again, continue_replays, start_replay
from portal.reviews.views.limitations import REPORTS_PER_PAGE
from tests.feedback.judgements import make_variant
from tests.reviews.desk import item_of
from tests.reviews.reports import report

pytestmark = pytest.mark.django_db


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
