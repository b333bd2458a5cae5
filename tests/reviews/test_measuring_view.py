"""Gold items measure quietly: for who is measured, one reads in every place like an item that waits for a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.models import Outcome
from portal.arena.voting import vote_on_battle
from portal.catalog.models import Variant
from portal.reviews.models import QueuePolicy, Review, ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.items import list_items
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.verdicts import mark_gold, undo_verdict
from tests.arena.contests import make_contest
from tests.conftest import signed_in
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gold_is_given")]
QUEUE, BULK = reverse("reviews:queue"), reverse("reviews:bulk")
API_LIST, API_BULK = reverse("api:review-items"), reverse("api:review-bulk-verdicts")
TODAY = timezone.now().date().isoformat()
# Whatever tells decided items from waiting ones, alone and together with other filters.
ASKED: list[dict[str, str]] = [
    {},
    {"state": "waiting"},
    {"state": "open"},
    {"state": "decided"},
    {"state": "adjudication"},
    {"outcome": "reject"},
    {"outcome": "accept"},
    {"reason": "unfounded"},
    {"state": "open", "thumb": "down"},
    {"state": "open", "language": "xx"},
    {"state": "decided", "thumb": "down"},
]
ON_PAGE_ALONE: list[dict[str, str]] = [{"took": "0"}, {"decided_since": TODAY}, {"decided_until": TODAY}]


def hold(item: ReviewItem, person: User) -> None:
    assert item.claim(person, item.policy.lease)


def listed(client: Client, asked: dict[str, str]) -> list[int]:
    return [int(number) for number in re.findall(r'name="item" value="(\d+)"', client.get(QUEUE, asked).text)]


def listed_by_api(client: Client, asked: dict[str, str]) -> list[int]:
    return [row["id"] for row in client.get(API_LIST, asked).json()["results"]]


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "could be given"])
def test_every_filter_finds_it_where_it_would_find_one_that_waits(
    is_held: bool, gold: ReviewItem, twin: ReviewItem, reviewer: User
) -> None:
    if is_held:
        hold(gold, reviewer)
    client = signed_in(reviewer)
    for asked in ASKED:
        for numbers in (listed(client, asked), listed_by_api(client, asked)):
            assert (gold.pk in numbers) is (twin.pk in numbers), asked
            assert len(numbers) in (0, 2), asked
    for asked in ON_PAGE_ALONE:
        assert listed(client, asked) == []
    fits = client.get(QUEUE, {"state": "open"}).text
    assert "2 items fit." in fits
    assert "Waiting for reviewers: 2," in fits
    assert "0 items fit" not in fits


def test_maintainers_know_it_until_they_hold_it_themselves(
    gold: ReviewItem, twin: ReviewItem, reviewer: User, maintainer: User
) -> None:
    client = signed_in(maintainer)
    hold(gold, reviewer)
    assert listed(client, {"outcome": "reject"}) == listed_by_api(client, {"outcome": "reject"}) == [gold.pk]
    assert listed(client, {"state": "open"}) == [twin.pk]
    assert "Rejected" in client.get(QUEUE, {"state": "decided"}).text
    assert "Reviewers are measured by this item." in client.get(gold.get_absolute_url()).text
    gold.release(reviewer)
    hold(ReviewItem.objects.get(pk=gold.pk), maintainer)
    assert listed(client, {"outcome": "reject"}) == []
    assert listed(client, {"state": "open"}) == [twin.pk, gold.pk]
    assert "No arm is missing." not in client.get(gold.get_absolute_url()).text


def test_operators_who_judge_nothing_see_what_is_stored(gold: ReviewItem, operator: User) -> None:
    assert listed(signed_in(operator), {"outcome": "reject"}) == [gold.pk]


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "could be given"])
def test_its_own_address_shows_an_item_that_waits(
    is_held: bool, gold: ReviewItem, twin: ReviewItem, reviewer: User
) -> None:
    if is_held:
        hold(gold, reviewer)
    page = signed_in(reviewer).get(gold.get_absolute_url()).text
    for telling in ("Rejected", "No arm is missing.", "gold", "Gold", "Decided", "1 rejected"):
        assert telling not in page, telling
    assert "Waiting for reviewers" in page
    assert ("Take this item" in page) is not is_held
    # Of the same variant and in the same state: the one that waits.
    assert f'href="{twin.get_absolute_url()}"' in page
    row = signed_in(reviewer).get(reverse("api:review-item", args=[gold.pk])).json()
    shown = {name: row[name] for name in ("state", "outcome", "reason", "decided_at", "verdict_count", "verdicts")}
    assert shown == {
        "state": "waiting",
        "outcome": "",
        "reason": "",
        "decided_at": None,
        "verdict_count": 0,
        "verdicts": [],
    }
    assert [each["item"] for each in row["similar"]] == [twin.pk]


def test_it_is_no_neighbour_of_decided_items(
    gold: ReviewItem, alice: User, reviewer: User, second_reviewer: User, maintainer: User
) -> None:
    other = item_of(judge(alice, make_generation(alice), comment="Entirely different words about weights and scales."))
    for each in (reviewer, second_reviewer):
        give_verdict(each, other)
    assert other.variant_id == gold.variant_id
    assert f'href="{gold.get_absolute_url()}"' not in signed_in(reviewer).get(other.get_absolute_url()).text
    assert f'href="{gold.get_absolute_url()}"' in signed_in(maintainer).get(other.get_absolute_url()).text


def test_the_names_of_a_vote_that_measures_come_with_the_verdict(
    alice: User, reviewer: User, second_reviewer: User, third_reviewer: User, maintainer: User
) -> None:
    variants: list[Variant] = [make_variant("smol/lm2"), make_variant("other/tiny")]
    vote = vote_on_battle(Actor(user=alice), make_contest(alice, variants), Outcome.A)
    item = ReviewItem.objects.get(vote=vote)
    for each in (second_reviewer, third_reviewer):
        give_verdict(each, item)
    mark_gold(maintainer, item.pk)
    assert "other/tiny" not in signed_in(reviewer).get(item.get_absolute_url()).text
    give_verdict(reviewer, ReviewItem.objects.get(pk=item.pk))
    assert "other/tiny" in signed_in(reviewer).get(item.get_absolute_url()).text


@pytest.mark.parametrize("needed", [1, 2])
@pytest.mark.parametrize("is_held", [True, False], ids=["held", "could be given"])
def test_a_bulk_verdict_is_previewed_and_given_as_on_one_that_waits(
    is_held: bool, needed: int, gold: ReviewItem, twin: ReviewItem, reviewer: User
) -> None:
    ReviewItem.objects.update(needed=needed)
    if is_held:
        hold(gold, reviewer)
    client = signed_in(reviewer)
    sent: dict[str, Any] = {"action": "verdict", "verdict": "accept", "item": [gold.pk, twin.pk]}
    preview = client.post(BULK, sent).text
    [row] = re.findall(r"<tr><td.*?</tr>", preview)
    assert f"#{gold.pk}" in row
    assert f"#{twin.pk}" in row
    body = {"items": [gold.pk, twin.pk], "verdict": "accept", "preview": True}
    effect = client.post(API_BULK, body, "application/json").json()
    assert [each["items"] for each in effect["consequences"]] == [[gold.pk, twin.pk]]
    client.post(BULK, {**sent, "confirmed": "1"})
    assert dict(Review.objects.filter(reviewer=reviewer).values_list("item", "kind")) == {
        gold.pk: "gold",
        twin.pk: "independent",
    }
    gold.refresh_from_db()
    assert (gold.outcome, gold.is_gold, gold.is_claimed) == ("reject", True, False)


def test_maintainers_are_told_that_it_waits_for_no_verdict(gold: ReviewItem, maintainer: User) -> None:
    sent = {"action": "verdict", "verdict": "accept", "item": [gold.pk]}
    assert "they wait for no verdict" in signed_in(maintainer).post(BULK, sent).text


def test_what_looks_as_if_it_waited_can_be_taken_and_comes_once_nothing_else_waits(
    gold: ReviewItem, twin: ReviewItem, reviewer: User, maintainer: User, make_user: Callable[..., User]
) -> None:
    assert not claim_item(maintainer, gold)
    assert claim_next(reviewer, chance=0.99) == twin
    assert claim_next(reviewer, chance=0.99, skip=twin.pk) == gold
    other = make_user("other", Role.REVIEWER)
    gold.release(reviewer)
    assert claim_item(other, ReviewItem.objects.get(pk=gold.pk))
    for asked in (QueueFilters(language="xx"), QueueFilters(state="adjudication"), QueueFilters(outcome="reject")):
        assert claim_next(make_user(f"with {asked.query()}", Role.REVIEWER), asked, chance=0) is None


def test_where_the_rules_give_no_gold_it_is_a_decided_item_like_any(gold: ReviewItem, reviewer: User) -> None:
    QueuePolicy.objects.update(gold_percent=0)
    assert listed(signed_in(reviewer), {"outcome": "reject"}) == [gold.pk]
    assert not claim_item(reviewer, gold)


def test_afterwards_neither_verdict_nor_history_says_that_it_was_gold(
    gold: ReviewItem, reviewer: User, maintainer: User, make_user: Callable[..., User]
) -> None:
    give_verdict(make_user("other", Role.REVIEWER), gold)
    mine = give_verdict(reviewer, gold)
    page = signed_in(reviewer).get(gold.get_absolute_url()).text
    assert "No arm is missing." in page, "it is told what the others said"
    assert not re.search(r"\bgold\b", page, re.IGNORECASE)
    assert "other" not in re.findall(r"</time> (\w+) <strong>", page)
    assert signed_in(reviewer).get(reverse("api:review-verdict", args=[mine.pk])).json()["kind"] == "independent"
    assert "gold" in signed_in(maintainer).get(gold.get_absolute_url()).text.lower()
    # Undone, it measures them anew, and their first verdict is the one that counted.
    undo_verdict(reviewer, mine.pk)
    assert listed(signed_in(reviewer), {"outcome": "reject"}) == []


@pytest.mark.parametrize("newer", range(5))
def test_pages_of_a_list_show_it_once_in_its_place(newer: int, gold: ReviewItem, alice: User, reviewer: User) -> None:
    items = [item_of(judge(alice)) for _ in range(4)]
    newest_first = list(reversed(items))
    if newer < 4:
        moment_later = newest_first[newer].entered_at + timedelta(microseconds=1)
        ReviewItem.objects.filter(pk=gold.pk).update(entered_at=moment_later)
    seen: list[int] = []
    cursor = ""
    while cursor or not seen:
        page = list_items(ItemReader(reviewer), QueueFilters(state="open"), cursor, per_page=2)
        seen += [each.pk for each in page.items]
        cursor = page.older
    assert seen == [each.pk for each in (*newest_first[:newer], gold, *newest_first[newer:])]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "narrowed", [{}, {"thumb": "down"}, {"variant": True}], ids=["all", "of a thumb", "of a variant"]
)
def test_a_page_reads_the_few_that_measure_and_does_not_walk_all_items_for_them(
    narrowed: dict[str, Any], gold: ReviewItem, twin: ReviewItem, reviewer: User
) -> None:
    asked = {name: gold.variant_id if name == "variant" else value for name, value in narrowed.items()}
    _waiting, beside = ItemReader(reviewer).fitting(QueueFilters(state="waiting", **asked))
    page = beside.order_by("-entered_at", "-id").filter(entered_at__lte=timezone.now())
    assert [each.pk for each in page] == [gold.pk]
    assert "SEARCH reviews_reviewitem USING INTEGER PRIMARY KEY" in page.explain()


def test_a_page_takes_the_same_queries_however_many_measure(
    gold: ReviewItem,
    alice: User,
    reviewer: User,
    second_reviewer: User,
    third_reviewer: User,
    maintainer: User,
) -> None:
    client = signed_in(reviewer)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert gold.pk in listed(client, {"state": "waiting"})
        return len(queries)

    cost()
    before = cost()
    for _ in range(3):
        more = item_of(judge(alice, thumb="down", comment="The second arm is missing from this one too."))
        for each in (second_reviewer, third_reviewer):
            give_verdict(each, more, "reject")
        mark_gold(maintainer, more.pk)
    assert len(listed(client, {"state": "waiting"})) == 4
    assert cost() == before <= 30
