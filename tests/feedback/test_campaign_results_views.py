"""A campaign's results: for whom they are, how many and how sure, and the words that are quoted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.accounts.models import User
from portal.feedback.campaign_results import result_of
from portal.feedback.models import Campaign, ChosenQuote, Consent, Question, Submission
from portal.feedback.withdrawing import withdraw_submission
from tests.conftest import signed_in
from tests.feedback.taking_part import WHOLE, html, send, url

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("shown", ["never", "afterwards"])
def test_results_are_for_those_whom_the_campaign_shows_them(
    client: Client, maintainer_client: Client, campaign: Campaign, shown: str
) -> None:
    Campaign.objects.update(results_shown=shown)
    assert client.get(url("results", campaign)).status_code == 404
    assert maintainer_client.get(url("results", campaign)).status_code == 200
    Campaign.objects.update(opens_at=timezone.now() - timedelta(days=9), closes_at=timezone.now() - timedelta(days=1))
    assert client.get(url("results", campaign)).status_code == (404 if shown == "never" else 200)


def test_results_say_how_many_and_how_sure_in_a_bounded_number_of_queries(
    client: Client, campaign: Campaign, django_assert_max_num_queries: Any
) -> None:
    for index in range(3):
        send(Client(), campaign, would_switch=str(5 + index))
    spam = Submission.objects.first()
    assert spam is not None
    spam.move_review(["unreviewed"], "spam")  # type: ignore[arg-type, list-item]
    with django_assert_max_num_queries(30):
        page = html(client, url("results", campaign) + "?row=uses&column=size")
    assert "2 submissions count here. 1 is left out" in " ".join(page.split())
    assert "n = 2" in page
    assert "95 % interval" in page
    results = client.get(url("results", campaign) + "?row=uses&column=size").context
    assert [row.n for row in results["cross"].rows][:3] == [2, 0, 2]
    unasked = client.get(url("results", campaign)).context
    assert (unasked["row"].key, unasked["column"].key, unasked["cross"]) == ("uses", "size", None)
    by_key = {question.key: question for question in results["results"].questions}
    assert by_key["priorities"].ranked[0].label == "Reasoning"
    second = by_key["priorities"].ranked[1]
    assert (second.mean.value, second.last, second.at) == (2.5, 6, 30.0)


def test_numbers_are_counted_in_classes_with_round_edges() -> None:
    question = Question(kind="number", key="memory", label="How much?")
    for values, labels, counts in (
        ({4.2: 3, 13.79: 2, 80.9: 1}, ["0 to under 10", "10 to under 20", "80 to under 90"], [3, 2, 1]),
        ({0.1: 1, 0.3: 1, 0.7: 2}, ["0.1 to under 0.2", "0.3 to under 0.4", "0.7 to under 0.8"], [1, 1, 2]),
        ({-5.0: 1, 5.0: 4}, ["-6 to under -4", "4 to under 6"], [1, 4]),
    ):
        (group,) = result_of(question, Counter(values), {}, "").groups
        assert [(bar.label, bar.count) for bar in group.bars if bar.count] == list(zip(labels, counts, strict=True))
        assert (len(group.bars) <= 9, group.n) == (True, sum(counts))


def test_days_are_drawn_by_month_or_by_year_when_they_are_many() -> None:
    question = Question(kind="date", key="since", label="Since when?")
    for years, first in ((2, "2020-01"), (3, "2020")):
        days = Counter({f"{2020 + index // 12}-{index % 12 + 1:02}-15": 1 for index in range(12 * years)})
        (group,) = result_of(question, days, {}, "").groups
        assert (group.bars[0].label, len(group.bars), group.n) == (first, 24 if years == 2 else 3, 12 * years)


def test_only_words_of_those_who_agreed_are_quoted_and_they_go_when_taken_back(
    maintainer_client: Client, alice: User, bob: User, campaign: Campaign
) -> None:
    send(signed_in(alice), campaign, wish="Quote me on small models.")
    send(signed_in(bob), campaign, wish="Not me, please.", consent="publish")
    hers, his = (Submission.objects.get(owner=person).answers.get(question__key="wish") for person in (alice, bob))
    assert "May not be quoted" in html(maintainer_client, url("quotes", campaign))
    assert maintainer_client.post(url("quotes", campaign), {"answer": his.pk}).status_code == 404
    maintainer_client.post(url("quotes", campaign), {"answer": hers.pk})
    page = html(signed_in(bob), url("results", campaign))
    assert "Quote me on small models." in page
    assert "Not me, please." not in page
    Submission.objects.filter(owner=alice).update(consent=Consent.PUBLISH)
    assert "Quote me" not in html(maintainer_client, url("results", campaign))
    Submission.objects.filter(owner=alice).update(consent=Consent.QUOTE)
    from portal.accounts.actors import Actor

    withdraw_submission(Actor(user=alice), Submission.objects.get(owner=alice).pk)
    assert not ChosenQuote.objects.exists()


def test_what_was_written_leads_those_who_choose_quotes_to_it(
    maintainer_client: Client, alice_client: Client, campaign: Campaign
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(results_shown="always")
    alice_client.post(url("campaign_answer", campaign), WHOLE)
    link = f'href="{url("quotes", campaign)}"'
    assert link in html(maintainer_client, url("results", campaign))
    page = html(alice_client, url("results", campaign))
    assert link not in page
    assert '<th scope="col" class="number">Share</th>' in page
