"""The judgement panel over HTTP: whole pages without JavaScript, partials with htmx, nobody else's answers."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.playground.models import Generation, State
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def panel(generation: Generation) -> str:
    return reverse("feedback:panel", args=[generation.pk])


def withdrawal(generation: Generation) -> str:
    return reverse("feedback:withdraw", args=[generation.pk])


def test_htmx_gets_the_panel_alone_and_a_browser_gets_a_page(alice_client: Client, alice: User) -> None:
    generation = make_generation(alice)
    partial = alice_client.get(panel(generation), headers=HTMX)
    page = alice_client.get(panel(generation))
    assert "<html" not in partial.content.decode()
    assert "<html" in page.content.decode()
    assert "HX-Request" in partial["Vary"]
    for response in (partial, page):
        assert f'id="feedback-{generation.pk}"' in response.content.decode()


def test_the_panel_says_before_the_first_click_what_rating_shares(alice_client: Client, alice: User) -> None:
    text = alice_client.get(panel(make_generation(alice)), headers=HTMX).content.decode()
    assert "shares its prompt, the answer and what you say here" in text
    assert "reviewers, who see your user name, and, under a pseudonym, in the data" in text


def test_the_panel_speaks_of_no_user_name_to_somebody_who_has_none(visitor_client: Client, visitor: uuid.UUID) -> None:
    text = visitor_client.get(panel(make_generation(visitor)), headers=HTMX).content.decode()
    assert "reviewers and, under a pseudonym, in the data" in text
    assert "user name" not in text


def test_one_click_saves_and_only_the_status_comes_back(alice_client: Client, alice: User) -> None:
    generation = make_generation(alice)
    response = alice_client.post(panel(generation), {"thumb": "up", "version": "0"}, headers=HTMX)
    text = response.content.decode()
    assert response.status_code == 200
    assert ">just now</time> in the review database." in text
    assert 'name="version" value="1"' in text
    assert "<textarea" not in text
    assert Submission.objects.get().values() == {"thumb": "up"}


def test_a_judgement_of_earlier_says_how_long_ago_it_was_saved(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    Submission.objects.update(changed_at=timezone.now() - timedelta(minutes=3))
    text = alice_client.get(panel(submission.generation), headers=HTMX).content.decode()
    assert ">3\xa0minutes ago</time> in the review database." in text
    assert "just now" not in text


def test_without_javascript_a_save_redirects_to_the_page(visitor_client: Client, visitor: uuid.UUID) -> None:
    generation = make_generation(visitor)
    fields = {"thumb": "down", "helpfulness": "2", "reasons_down": ["incorrect", "unclear"], "comment": "Hm.\r\nNo."}
    response = visitor_client.post(panel(generation), fields, follow=True)
    assert response.redirect_chain == [(panel(generation), 302)]
    assert Submission.objects.get().values() == fields | {"helpfulness": 2, "comment": "Hm.\nNo."}
    assert "Hm.\nNo.</textarea>" in response.content.decode()


def test_answers_to_a_question_that_is_not_shown_are_left_out(alice_client: Client, alice: User) -> None:
    generation = make_generation(alice)
    alice_client.post(panel(generation), {"thumb": "up", "reasons_down": "incorrect", "reasons_up": "clear"})
    assert Submission.objects.get().values() == {"thumb": "up", "reasons_up": ["clear"]}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refused_form_comes_back_with_what_was_typed(
    alice_client: Client, alice: User, headers: dict[str, str]
) -> None:
    generation = make_generation(alice)
    comment = "<i>long</i> " * 400
    fields = {"thumb": "down", "helpfulness": "4", "reasons_down": "unclear", "comment": comment}
    response = alice_client.post(panel(generation), fields, headers=headers)
    text = response.content.decode()
    assert response.status_code == 422
    assert comment.replace("<", "&lt;").replace(">", "&gt;").strip() in text
    assert "at most 4000 characters" in text
    assert 'value="4" checked' in text
    assert 'value="unclear" checked' in text
    assert not Submission.objects.exists()


@pytest.mark.parametrize("fields", [{}, {"thumb": "x"}, {"thumb": "up", "helpfulness": "9" * 500}, {"version": "-1"}])
def test_nonsense_is_refused_and_stores_nothing(alice_client: Client, alice: User, fields: dict[str, Any]) -> None:
    assert alice_client.post(panel(make_generation(alice)), fields).status_code == 422
    assert not Submission.objects.exists()


def test_a_form_older_than_the_judgement_is_refused_and_keeps_its_entries(alice_client: Client, alice: User) -> None:
    submission = judge(alice, comment="From the other tab.")
    fields = {"thumb": "down", "comment": "From this tab.", "version": "0"}
    response = alice_client.post(panel(submission.generation), fields, headers=HTMX)
    text = response.content.decode()
    assert response.status_code == 409
    assert response["HX-Reswap"] == "outerHTML"
    assert "From this tab.</textarea>" in text
    assert 'name="version" value="1"' in text
    assert submission.values()["comment"] == "From the other tab."
    again = alice_client.post(panel(submission.generation), fields | {"version": "1"}, headers=HTMX)
    assert again.status_code == 200


def test_too_many_judgements_are_refused_with_what_was_typed(alice_client: Client, alice: User, settings: Any) -> None:
    settings.FEEDBACK_RATE = "1/minute"
    generation = make_generation(alice)
    alice_client.post(panel(generation), {"thumb": "up"})
    response = alice_client.post(panel(generation), {"thumb": "up", "comment": "Still here."}, headers=HTMX)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60
    assert "Still here.</textarea>" in response.content.decode()


def test_withdrawing_offers_an_undo_that_brings_everything_back(alice_client: Client, alice: User) -> None:
    submission = judge(alice, helpfulness=4, reasons_up=["clear"], comment='Say "<hi>"')
    said = submission.values()
    response = alice_client.post(withdrawal(submission.generation), headers=HTMX)
    text = response.content.decode()
    assert "Withdrawn. What you said is deleted" in text
    assert 'name="comment" value="Say &quot;&lt;hi&gt;&quot;"' in text
    undo = {"version": "2", "thumb": "up", "helpfulness": "4", "reasons_up": "clear", "comment": 'Say "<hi>"'}
    restored = alice_client.post(panel(submission.generation), undo, headers=HTMX)
    assert "Withdrawn." not in restored.content.decode()
    submission.refresh_from_db()
    assert Submission.objects.get().values() == said
    assert not submission.is_withdrawn


def test_withdrawing_works_without_javascript(alice_client: Client, alice: User) -> None:
    submission = judge(alice)
    response = alice_client.post(withdrawal(submission.generation))
    assert "<html" in response.content.decode()
    assert Submission.objects.get().is_withdrawn


def test_withdrawing_what_was_never_given_is_404(alice_client: Client, alice: User) -> None:
    assert alice_client.post(withdrawal(make_generation(alice))).status_code == 404


def test_an_unfinished_answer_offers_no_form(alice_client: Client, alice: User) -> None:
    generation = make_generation(alice, state=State.RUNNING)
    assert "<form" not in alice_client.get(panel(generation), headers=HTMX).content.decode()
    assert alice_client.post(panel(generation), {"thumb": "up"}, headers=HTMX).status_code == 409


def test_somebody_elses_answer_does_not_exist(
    bob_client: Client, visitor_client: Client, client: Client, alice: User
) -> None:
    submission = judge(alice, comment="Mine.")
    for other in (bob_client, visitor_client, client):
        assert other.get(panel(submission.generation)).status_code == 404
        assert other.post(panel(submission.generation), {"thumb": "down"}).status_code == 404
        assert other.post(withdrawal(submission.generation)).status_code == 404
    assert Submission.objects.get().values() == {"thumb": "up", "comment": "Mine."}


def test_a_form_from_another_site_is_refused(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    generation = make_generation(alice)
    assert client.post(panel(generation), {"thumb": "up"}).status_code == 403
    assert not Submission.objects.exists()


def test_other_methods_are_not_allowed(alice_client: Client, alice: User) -> None:
    generation = make_generation(alice)
    assert alice_client.put(panel(generation)).status_code == 405
    assert alice_client.get(withdrawal(generation)).status_code == 405
