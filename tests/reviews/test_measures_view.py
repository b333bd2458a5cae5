"""Overview, agreement, rules and history: who sees them, and that their numbers are those of the rows."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.catalog.models import ModelCard
from portal.reviews.models import Event, QueuePolicy, Review, ReviewItem
from portal.reviews.proportions import Share
from portal.reviews.queries.agreeing import agreement_report
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.overview import overview
from portal.reviews.services.claims import claim_next
from portal.reviews.services.verdicts import Judgement, mark_gold, record_verdict, undo_verdict
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewed(alice: User, bob: User, reviewer: User, second_reviewer: User, third_reviewer: User) -> None:
    """Five decided ones (one by a third person), and one that waits."""
    other = make_variant("smol/other")
    for number, verdicts in enumerate(["aa", "aa", "rr", "ss", "ara", "a"]):
        owner = bob if number % 2 else alice
        variant = other if number == 2 else make_variant()
        item = item_of(judge(owner, make_generation(owner, variant=variant)))
        names = {"a": "accept", "r": "reject", "s": "spam"}
        for person, letter in zip((reviewer, second_reviewer, third_reviewer), verdicts, strict=False):
            give_verdict(person, item, names[letter], answers={"helpfulness": 4 if letter == "a" else 2})


@pytest.mark.parametrize(
    ("name", "who_sees_it"),
    [
        ("overview", {"maintainer", "operator"}),
        ("overview_file", {"maintainer", "operator"}),
        ("agreement", {"maintainer"}),
        ("rules", {"maintainer"}),
        ("history", {"operator"}),
    ],
)
def test_each_page_is_for_its_roles_alone(
    name: str,
    who_sees_it: set[str],
    reviewer_client: Client,
    maintainer_client: Client,
    operator_client: Client,
    alice_client: Client,
) -> None:
    address = reverse(f"reviews:{name}")
    clients = {"maintainer": maintainer_client, "operator": operator_client, "reviewer": reviewer_client}
    for role, client in clients.items():
        assert client.get(address).status_code == (200 if role in who_sees_it else 404), role
    assert alice_client.get(address).status_code == 404
    assert Client().get(address).status_code == 404
    assert maintainer_client.put(address).status_code == 405


def test_the_overview_counts_what_the_rows_say(reviewed: None) -> None:
    found = overview(QueueFilters())
    assert (found.entered, found.decided) == (6, 5)
    assert (found.acceptance.part, found.acceptance.whole) == (3, 5)
    assert {line.label: line.count for line in found.outcomes} == {"Accepted": 3, "Rejected": 1, "Spam": 1}
    assert [(line.label, line.count) for line in found.reasons] == [("The answer does not bear it out", 1)]
    assert sum(line.count for line in found.backlog) == 1
    cards = next(each for each in found.breakdowns if each.title == "Card")
    assert {line.label: (line.count, line.share.part) for line in cards.lines if line.share} == {
        "smol/lm2": (5, 3),
        "smol/other": (1, 0),
    }
    assert sum(each.entered for each in found.periods) == 6
    assert len(found.periods) == 30
    narrowed = overview(QueueFilters(card=ModelCard.objects.get(slug="other").pk))
    assert (narrowed.entered, narrowed.decided) == (1, 1)


def test_a_long_period_is_shown_by_weeks_and_holds_everything(reviewed: None) -> None:
    today = timezone.now().date()
    found = overview(QueueFilters(since=today - timedelta(days=400), until=today))
    assert len(found.periods) == 58
    assert sum(each.entered for each in found.periods) == 6


def test_the_links_lead_to_the_rows_behind_the_numbers(reviewed: None, maintainer_client: Client) -> None:
    def rows_behind(query: str) -> int:
        return maintainer_client.get(f"{reverse('reviews:queue')}?{query}").text.count("data-row-link")

    # What entered long ago and was decided today is behind today's decisions alone.
    ReviewItem.objects.filter(outcome="spam").update(entered_at=timezone.now() - timedelta(days=90))
    found = overview(QueueFilters())
    cards = next(each for each in found.breakdowns if each.title == "Card")
    for line in [*found.outcomes, *found.reasons, *found.times[1:]]:
        assert rows_behind(line.query) == (line.count if line.label != "longer" else 1)
    for line in cards.lines:
        assert line.share is not None
        assert rows_behind(line.share_query) == line.share.whole
    for each in found.periods[-2:]:
        assert rows_behind(each.decided_query) == each.decided
    page = maintainer_client.get(reverse("reviews:overview")).text
    drawn = re.findall(r'<a href="[^"]*\?([^"]*)" aria-label="[^"]*(?:entered|decided) (\d+)"', page)
    assert [(html.unescape(query), int(number)) for query, number in drawn if "decided_since" in query] == [
        (found.periods[-1].decided_query, 5)
    ]


def test_the_file_adds_up_to_the_page(reviewed: None, maintainer_client: Client) -> None:
    body = b"".join(maintainer_client.get(reverse("reviews:overview_file"))).decode()  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(body)))
    assert sum(int(row["count"]) for row in rows if row["flow"] == "entered") == 6
    assert sum(int(row["count"]) for row in rows if row["flow"] != "entered") == 5


def test_the_overview_costs_the_same_queries_however_much_there_is(reviewed: None, maintainer_client: Client) -> None:
    maintainer_client.get(reverse("reviews:overview"))
    with CaptureQueriesContext(connection) as queries:
        page = maintainer_client.get(reverse("reviews:overview"))
    assert "smol/lm2" in page.text
    assert len(queries) <= 24


def test_agreement_is_measured_per_question_pair_and_on_gold(
    reviewed: None, third_reviewer: User, maintainer: User, maintainer_client: Client
) -> None:
    report = agreement_report()
    # Four pairs agree (accept, accept, reject, spam) and one does not.
    assert (report.verdicts.units, report.verdicts.values) == (5, 10)
    assert report.verdicts.alpha == pytest.approx(1 - 0.2 / (1 - (5 * 4 + 3 * 2 + 2 * 1) / 90))
    assert [(each.metric, each.agreement.units) for each in report.questions] == [("ordinal", 5)]
    assert [(pair.same.part, pair.same.whole) for pair in report.pairs] == [(4, 5)]
    assert report.pairs[0].cells[0] == ("Accept", [2, 1, 0, 0])
    gold = Review.objects.filter(verdict="accept").first()
    assert gold is not None
    mark_gold(maintainer, gold.item_id)
    gold.item.refresh_from_db()
    page = maintainer_client.get(reverse("reviews:agreement")).text
    assert "Krippendorff" in page
    assert page.count('<svg class="review-chart') == 1 + len(report.pairs)


def test_agreement_and_gold_count_what_was_said_before_anything_was_told(
    alice: User, reviewer: User, second_reviewer: User, third_reviewer: User, maintainer: User
) -> None:
    item = item_of(judge(alice))
    # A slip, undone while nobody else had spoken; and a change of mind once the other's verdict was there to read.
    for person, verdicts in ((reviewer, ("reject", "accept")), (second_reviewer, ("spam", "accept"))):
        undo_verdict(person, give_verdict(person, item, verdicts[0]).pk)
        item.refresh_from_db()
        give_verdict(person, item, verdicts[1])
    assert (item.state, item.outcome) == ("decided", "accept")
    (pair,) = agreement_report().pairs
    assert (pair.one, pair.other, pair.same.part, pair.same.whole) == ("reviewer", "second", 0, 1)
    assert pair.cells[0] == ("Accept", [0, 0, 0, 1])
    mark_gold(maintainer, item.pk)
    QueuePolicy.objects.update(gold_percent=100)
    met = claim_next(third_reviewer)
    assert met == item
    undo_verdict(third_reviewer, record_verdict(third_reviewer, met.pk, met.claim_number, Judgement("spam")).pk)
    met.refresh_from_db()
    record_verdict(third_reviewer, met.pk, met.claim_number, Judgement("accept"))
    (score,) = agreement_report().gold
    assert (score.reviewer, score.right.part, score.right.whole) == ("third", 0, 1)


def test_saving_rules_makes_a_version_and_leaves_the_one_before(maintainer_client: Client, maintainer: User) -> None:
    values = {
        "enter_all": "",
        "sample_percent": "12.5",
        "enter_flagged": "on",
        "enter_disagreement": "on",
        "needed_reviews": "3",
        "lease_minutes": "10",
        "gold_percent": "0",
    }
    maintainer_client.post(reverse("reviews:rules"), values)
    maintainer_client.post(reverse("reviews:rules"), values)
    assert list(QueuePolicy.objects.order_by("version").values_list("version", "is_current", "needed_reviews")) == [
        (1, False, 2),
        (2, True, 3),
    ]
    event = Event.objects.get(target="reviews.queuepolicy")
    assert (event.actor_id, event.changes["needed_reviews"]) == (maintainer.pk, ["2", "3"])
    refused = maintainer_client.post(reverse("reviews:rules"), {**values, "needed_reviews": "9"})
    assert refused.status_code == 422
    assert QueuePolicy.objects.count() == 2


def test_what_is_changed_in_a_card_is_in_the_history_with_who_did_it(
    superuser_client: Client, superuser: User, operator_client: Client, alice: User
) -> None:
    variant = make_variant()
    card = variant.card
    card.title = "Another title"
    card.save()
    event = Event.objects.filter(target="catalog.modelcard", action="changed").get()
    assert event.changes["title"] == ["Card of smol/lm2", "Another title"]
    variant.defaults, variant.is_runnable = {"temperature": 0.2}, False
    variant.save()
    variant.file_stamps = {"model.safetensors": [1, 2]}
    variant.save()
    added, changed = Event.objects.filter(target="catalog.variant", target_id=variant.pk).order_by("id")
    assert (added.action, changed.action) == ("added", "changed"), "the stamps of files are no change"
    assert changed.changes == {"defaults.temperature": ["None", "0.2"], "is_runnable": ["True", "False"]}
    judge(alice)
    page = operator_client.get(reverse("reviews:history"), {"actor": "alice", "target": "feedback.submission"}).text
    assert "given" in page
    assert "modelcard" not in page.split("<tbody>")[1]


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for part, whole, low, high in (
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0, 16.11),
        (1, 29, 0.61, 17.18),
    ):
        share = Share(part, whole)
        assert share.low == pytest.approx(low, abs=0.01)
        assert share.high == pytest.approx(high, abs=0.01)
    assert Share(0, 0).low is None
