"""The review database in the admin: filters, search, read-only pages, a constant number of queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog import admin_list
from portal.feedback.models import Answer, Campaign, CampaignDraft, ChosenQuote, Questionnaire, Submission
from portal.feedback.withdrawing import withdraw_as_operator
from tests.feedback.judgements import judge, make_generation, make_variant

pytestmark = pytest.mark.django_db
LIST = reverse("admin:feedback_submission_changelist")


def listed(client: Client, **query: Any) -> set[Submission]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return set(response.context["cl"].result_list)


def change_url(submission: Submission) -> str:
    return reverse("admin:feedback_submission_change", args=[submission.pk])


def test_the_list_takes_the_same_queries_for_one_row_and_for_fifty(superuser_client: Client, alice: User) -> None:
    judge(alice, helpfulness=3, reasons_up=["clear"])
    superuser_client.get(LIST)
    with CaptureQueriesContext(
        connection,
    ) as one:
        listed(superuser_client)
    for _ in range(30):
        judge(alice, helpfulness=3, reasons_up=["clear"], comment="Fine.")
    with CaptureQueriesContext(connection) as many:
        assert len(listed(superuser_client)) == 31
    assert len(many) == len(one)
    assert "Show counts" not in superuser_client.get(LIST).text


def test_counting_stops_at_a_bound_and_says_so(superuser_client: Client, alice: User) -> None:
    for _ in range(4):
        judge(alice)
    with mock.patch.object(admin_list, "COUNTED_ROWS", 3), CaptureQueriesContext(connection) as queries:
        response = superuser_client.get(LIST)
    assert "the first 3" in response.content.decode()
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "feedback_submission" in query["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


def test_filters_select_by_thumb_rating_card_variant_and_state(superuser_client: Client, alice: User) -> None:
    up = judge(alice, helpfulness=5)
    down = judge(alice, thumb="down", helpfulness=1)
    other = make_variant("acme/one", "q4")
    elsewhere = judge(alice, make_generation(alice, variant=other))
    gone = judge(alice, thumb="down")
    withdraw_as_operator(gone.pk)
    assert listed(superuser_client, thumb="down") == {down}
    assert listed(superuser_client, rating="5") == {up}
    assert listed(superuser_client, rating="none") == {elsewhere, gone}
    assert listed(superuser_client, card=other.card.pk) == {elsewhere}
    assert listed(superuser_client, variant=other.pk) == {elsewhere}
    assert listed(superuser_client, state="withdrawn") == {gone}
    assert listed(superuser_client, state="live") == {up, down, elsewhere}


@pytest.mark.parametrize(
    "query", [{"rating": "x"}, {"card": "x"}, {"variant": "9" * 30}, {"state": "x"}, {"thumb": "x"}]
)
def test_a_filter_by_nonsense_is_no_error(superuser_client: Client, alice: User, query: dict[str, str]) -> None:
    judge(alice)
    assert superuser_client.get(LIST, query).status_code in {200, 302}


def test_a_filter_by_date_selects_its_days(superuser_client: Client, alice: User) -> None:
    now = datetime.now(UTC)
    judge(alice, created_at=now - timedelta(days=40))
    today = judge(alice)
    assert listed(superuser_client, created_at__gte=(now - timedelta(days=1)).isoformat()) == {today}


def test_search_finds_comments_prompts_people_and_ids(superuser_client: Client, alice: User, bob: User) -> None:
    commented = judge(alice, comment="Größe stimmt nicht")
    asked = judge(bob, make_generation(bob, prompt="Why is the sky blue?"))
    assert listed(superuser_client, q="größe stimmt"[5:]) == {commented}
    assert listed(superuser_client, q="sky blue") == {asked}
    assert listed(superuser_client, q="bob") == {asked}
    assert listed(superuser_client, q=str(commented.pk)) == {commented}
    assert listed(superuser_client, q=str(asked.generation_id)) == {asked}
    assert listed(superuser_client, q="nobody said this") == set()


def test_of_a_withdrawn_judgement_only_the_fact_and_the_time_are_shown(superuser_client: Client, alice: User) -> None:
    run = make_generation(alice, prompt="My secret question", output="A secret answer")
    submission = judge(alice, run, comment="A secret comment")
    pages = (LIST, change_url(submission))
    assert all("alice" in superuser_client.get(page).content.decode() for page in pages)
    withdraw_as_operator(submission.pk)
    for page in pages:
        text = superuser_client.get(page).content.decode()
        assert "secret" not in text
        assert "alice" not in text
        assert run.variant.model_id in text
    for words in ("secret", "alice"):
        assert listed(superuser_client, q=words) == set()
    assert listed(superuser_client, q=str(submission.pk)) == {submission}
    assert listed(superuser_client, q=str(run.pk)) == {submission}


def test_a_submission_shows_its_answers_and_cannot_be_edited(
    operator_client: Client, operator: User, alice: User
) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=True)
    submission = judge(alice, comment="It names <b>no</b> source.")
    page = operator_client.get(change_url(submission)).content.decode()
    assert "It names &lt;b&gt;no&lt;/b&gt; source." in page
    assert "A balance with two arms." in page
    assert 'name="_save"' not in page
    answer = submission.answers.get(question__key="comment")
    operator_client.post(change_url(submission), {"answers-0-id": answer.pk, "answers-0-text": "changed"})
    assert Answer.objects.get(pk=answer.pk).text == "It names <b>no</b> source."


def test_an_operator_withdraws_for_somebody_and_it_is_logged(
    operator_client: Client, operator: User, alice: User
) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=True)
    submission = judge(alice)
    operator_client.post(LIST, {"action": "withdraw", "_selected_action": [str(submission.pk)]})
    assert Submission.objects.get().is_withdrawn
    assert LogEntry.objects.get().object_id == str(submission.pk)


def test_a_reviewer_looks_but_does_not_withdraw(reviewer_client: Client, reviewer: User, alice: User) -> None:
    User.objects.filter(pk=reviewer.pk).update(is_staff=True)
    submission = judge(alice)
    assert listed(reviewer_client) == {submission}
    reviewer_client.post(LIST, {"action": "withdraw", "_selected_action": [str(submission.pk)]})
    assert not Submission.objects.get().is_withdrawn


def test_a_contributor_and_an_anonymous_visitor_are_sent_away(alice_client: Client, visitor_client: Client) -> None:
    for client in (alice_client, visitor_client):
        assert client.get(LIST).status_code == 302


def test_a_published_questionnaire_is_not_rewritten(superuser_client: Client) -> None:
    draft = Questionnaire.objects.create(slug="draft", title="A draft")
    address = reverse("admin:feedback_questionnaire_change", args=[draft.pk])
    assert 'name="_save"' in superuser_client.get(address).content.decode()
    url = reverse("admin:feedback_questionnaire_change", args=[Questionnaire.objects.get(slug="answer-quality").pk])
    assert 'name="_save"' not in superuser_client.get(url).content.decode()
    assert superuser_client.post(url, {"slug": "x", "version": 9, "title": "x"}).status_code == 403


def test_drafts_and_quotes_are_looked_at_and_a_drafts_words_are_not_shown(
    superuser_client: Client, alice: User
) -> None:
    campaign = Campaign.objects.get()
    draft = CampaignDraft.objects.create(campaign=campaign, owner=alice, values={"wish": "Not sent yet"})
    quote = ChosenQuote.objects.create(
        campaign=campaign, answer=judge(alice, comment="Quoted.").answers.get(text="Quoted.")
    )
    for name, row, words in (("campaigndraft", draft, ""), ("chosenquote", quote, "Quoted.")):
        listed_page = superuser_client.get(reverse(f"admin:feedback_{name}_changelist")).content.decode()
        page = superuser_client.get(reverse(f"admin:feedback_{name}_change", args=[row.pk])).content.decode()
        assert words in listed_page
        assert (words in page, 'name="_save"' in page, "Not sent yet" in page) == (True, False, False)
        assert superuser_client.get(reverse(f"admin:feedback_{name}_add")).status_code == 403
