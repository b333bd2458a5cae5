"""Reviewing over REST: one holder at a time, blind verdicts, a third person's decision, undone; nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.arena.models import Outcome
from portal.arena.voting import vote_on_battle
from portal.feedback.models import Submission
from portal.reviews.models import QueuePolicy, Review, ReviewItem
from portal.reviews.services.verdicts import mark_gold
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
LIST, NEXT, AGREEMENT = (reverse(f"api:{name}") for name in ("review-items", "review-next", "review-agreement"))
JSON = "application/json"
Desk = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _no_gold_by_chance(db: None) -> None:
    QueuePolicy.objects.update(gold_percent=0)


@pytest.fixture
def desk(token_client: Callable[..., Client]) -> Desk:
    return lambda reviewer: token_client(reviewer, Scope.REVIEW)


@pytest.fixture
def others(make_user: Callable[..., User]) -> tuple[User, User]:
    return make_user("second", Role.REVIEWER), make_user("third", Role.REVIEWER)


@pytest.fixture
def item(alice: User) -> ReviewItem:
    return item_of(judge(alice, thumb="down", comment="Names no source."))


def at(name: str, *args: Any) -> str:
    return reverse(f"api:{name}", args=args)


def verdict(client: Client, item: ReviewItem, verdict: str, status: int = 201, **more: Any) -> Any:
    """Take the item and judge it."""
    claimed = client.post(at("review-claim", item.pk))
    assert claimed.status_code == 201, claimed.content
    body = {"claim": claimed.json()["claim"]["number"], "verdict": verdict, **more}
    response = client.post(at("review-verdicts", item.pk), body, JSON)
    assert response.status_code == status, response.content
    return response


def test_two_blind_verdicts_that_differ_wait_for_a_third_persons_decision(
    desk: Desk, reviewer: User, others: tuple[User, User], item: ReviewItem
) -> None:
    one, two, three = (desk(each) for each in (reviewer, *others))
    given = verdict(one, item, "accept", labels=["factual-error"], answers={"helpfulness": 2})
    assert (given.json()["reviewer"], given.json()["kind"]) == ("reviewer", "independent")
    assert one.get(given["Location"]).json() == given.json()

    seen = two.get(at("review-item", item.pk)).json()
    assert (seen["is_blind"], seen["verdicts"], seen["verdict_count"], seen["outcome"]) == (True, [], 1, "")
    assert two.get(given["Location"]).status_code == 404
    assert [each["id"] for each in one.get(at("review-item", item.pk)).json()["verdicts"]] == [given.json()["id"]]

    verdict(two, item, "reject", reason="unfounded")
    seen = three.get(at("review-item", item.pk)).json()
    assert (seen["state"], seen["is_blind"]) == ("adjudication", False)
    assert [each["verdict"] for each in seen["verdicts"]] == ["accept", "reject"]
    refused = one.post(at("review-claim", item.pk))
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/problems/#claim-lost")
    assert verdict(three, item, "accept").json()["kind"] == "adjudication"
    decided = one.get(LIST, {"state": "decided"}).json()["results"][0]
    assert (decided["id"], decided["outcome"], decided["answers"]["comment"]) == (item.pk, "accept", "Names no source.")
    assert Submission.objects.get().review_state == "accepted"


def test_an_item_is_held_by_one_person_and_goes_back(
    desk: Desk, reviewer: User, others: tuple[User, User], item: ReviewItem
) -> None:
    one, two = desk(reviewer), desk(others[0])
    address = at("review-claim", item.pk)
    first = one.post(address)
    kept = one.post(address)
    assert (first.status_code, kept.status_code) == (201, 200)
    assert kept.json()["claim"]["number"] == first.json()["claim"]["number"]
    assert two.post(address).status_code == 409
    assert two.delete(address).status_code == 404
    body = {"claim": first.json()["claim"]["number"], "verdict": "accept"}
    lost = two.post(at("review-verdicts", item.pk), body, JSON)
    assert (lost.status_code, lost.json()["type"]) == (409, "/api/problems/#claim-lost")
    assert two.get(at("review-item", item.pk)).json()["claim"] is None
    assert one.delete(address).status_code == 204
    assert one.delete(address).status_code == 404
    assert two.post(address).status_code == 201
    assert not Review.objects.exists()


def test_the_next_item_is_the_one_that_is_held_then_the_most_urgent_that_fits(
    desk: Desk, reviewer: User, alice: User, bob: User
) -> None:
    client = desk(reviewer)
    assert client.post(NEXT, {}, JSON).status_code == 204
    down, up = item_of(judge(alice, thumb="down")), item_of(judge(bob, thumb="up"))
    taken = client.post(NEXT, {"thumb": "up"}, JSON)
    assert (taken.status_code, taken.json()["id"]) == (201, up.pk)
    held = client.post(NEXT, {}, JSON)
    assert (held.status_code, held.json()["id"]) == (200, up.pk)
    client.delete(at("review-claim", up.pk))
    assert client.post(NEXT, {}, JSON).json()["id"] == down.pk
    assert client.post(NEXT, {"card": "no/such"}, JSON).status_code == 400


def test_a_verdict_sent_twice_is_one_and_can_be_undone_by_whose_it_is(
    desk: Desk, reviewer: User, others: tuple[User, User], item: ReviewItem
) -> None:
    client = desk(reviewer)
    claim = client.post(NEXT, {}, JSON).json()["claim"]["number"]
    body, address = {"claim": claim, "verdict": "accept"}, at("review-verdicts", item.pk)
    first = client.post(address, body, JSON, headers={"Idempotency-Key": "lost"})
    replayed = client.post(address, body, JSON, headers={"Idempotency-Key": "lost"})
    again = client.post(address, body, JSON)
    assert (first.status_code, replayed["Idempotency-Replayed"], again.status_code) == (201, "true", 200)
    assert first.json() == replayed.json() == again.json()
    undo = at("review-undo", first.json()["id"])
    assert desk(others[0]).post(undo).status_code == 404
    undone = client.post(undo)
    assert (undone.status_code, undone.json()["claim"] is not None) == (200, True)
    assert undone.json()["verdicts"][0]["superseded_by"] == "undone"
    refused = client.post(undo)
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/problems/#undo-refused")


def test_a_maintainer_reopens_and_reads_agreement_and_a_reviewer_does_not(
    desk: Desk, reviewer: User, others: tuple[User, User], maintainer: User, item: ReviewItem
) -> None:
    give_verdict(reviewer, item, answers={"helpfulness": 2})
    give_verdict(others[0], item, answers={"helpfulness": 2})
    for address in (at("review-reopen", item.pk), AGREEMENT):
        call = desk(reviewer).get if address == AGREEMENT else desk(reviewer).post
        assert call(address).status_code == 404
    report = desk(maintainer).get(AGREEMENT).json()
    assert (report["verdicts"]["units"], report["pairs"][0]["same"]["percent"]) == (1, 100.0)
    assert report["questions"][0]["metric"] == "ordinal"
    assert desk(maintainer).get(AGREEMENT, {"until": "2020-01-01"}).json()["verdicts"]["units"] == 0
    bad = desk(maintainer).get(AGREEMENT, {"since": "2026-05-02", "until": "2026-05-01"})
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (400, "since")
    reopened = desk(maintainer).post(at("review-reopen", item.pk)).json()
    assert (reopened["state"], reopened["outcome"], reopened["verdict_count"]) == ("waiting", "", 0)


def test_who_is_measured_by_an_item_does_not_read_its_answer_off_it(
    desk: Desk, reviewer: User, others: tuple[User, User], maintainer: User, item: ReviewItem
) -> None:
    for each in others:
        give_verdict(each, item)
    mark_gold(maintainer, item.pk)
    item.refresh_from_db()
    assert item.claim(reviewer, item.policy.lease)
    client = desk(reviewer)
    for row in (client.get(at("review-item", item.pk)).json(), client.get(LIST).json()["results"][0]):
        assert (row["state"], row["outcome"], row["decided_at"], row["verdict_count"]) == ("waiting", "", None, 0)
    assert client.get(at("review-item", item.pk)).json()["verdicts"] == []


def test_a_vote_is_judged_without_names_and_tells_them_afterwards(
    desk: Desk, reviewer: User, others: tuple[User, User], alice: User
) -> None:
    contest = make_contest(alice, [make_variant("smol/lm2"), make_variant("other/tiny")])
    vote = vote_on_battle(Actor(user=alice), contest, Outcome.A)
    item, client = ReviewItem.objects.get(vote=vote), desk(reviewer)
    [row] = client.get(LIST, {"about": "battle", "questionnaire": "vote:battle"}).json()["results"]
    assert (row["id"], row["vote"], row["submission"], row["model"]) == (item.pk, str(vote.pk), None, None)
    assert row["answers"]["outcome"] == "a"
    before = client.get(at("review-item", item.pk))
    assert [(side["letter"], side["is_preferred"], side["model"]) for side in before.json()["sides"]] == [
        ("A", True, None),
        ("B", False, None),
    ]
    assert b"smol/lm2" not in before.content
    verdict(client, item, "accept")
    after = client.get(at("review-item", item.pk)).json()
    assert [side["model"] for side in after["sides"]] == ["smol/lm2:bf16", "other/tiny:bf16"]
    refused = verdict(desk(others[0]), item, "accept", 400, answers={"thumb": "up"})
    assert refused.json()["errors"][0]["pointer"] == "/answers"


def test_nobody_else_finds_the_queue(
    token_client: Callable[..., Client], alice_client: Client, alice: User, client: Client, item: ReviewItem
) -> None:
    review = Review.objects.create(item=item, reviewer=alice, verdict="accept", submission_version=1)
    addresses = [
        ("get", LIST),
        ("get", at("review-item", item.pk)),
        ("post", NEXT),
        ("post", at("review-claim", item.pk)),
        ("delete", at("review-claim", item.pk)),
        ("post", at("review-verdicts", item.pk)),
        ("get", at("review-verdict", review.pk)),
        ("post", at("review-undo", review.pk)),
        ("post", at("review-reopen", item.pk)),
        ("get", AGREEMENT),
    ]
    for method, address in addresses:
        assert getattr(alice_client, method)(address).status_code == 404, address
        assert getattr(client, method)(address).status_code == 401
        contributor = token_client(alice, Scope.READ, Scope.SUBMIT)
        assert getattr(contributor, method)(address).json()["type"] == "/api/problems/#insufficient-scope"
    item.refresh_from_db()
    assert item.claimed_by is None


def test_an_operator_looks_and_does_not_judge(desk: Desk, operator: User, item: ReviewItem) -> None:
    assert desk(operator).get(LIST).json()["results"][0]["id"] == item.pk
    assert desk(operator).post(at("review-claim", item.pk)).status_code == 404


def test_ones_own_submission_is_somebody_elses_to_judge(desk: Desk, reviewer: User) -> None:
    own = item_of(judge(reviewer, thumb="down"))
    assert desk(reviewer).get(at("review-item", own.pk)).json()["is_own"]
    assert desk(reviewer).post(at("review-claim", own.pk)).status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"verdict": "maybe"}, "/verdict"),
        ({"verdict": "reject"}, "/reason"),
        ({"verdict": "question"}, "/note"),
        ({"verdict": "duplicate"}, "/duplicate_of"),
        ({"verdict": "duplicate", "duplicate_of": 9_999_999}, "/duplicate_of"),
        ({"verdict": "accept", "labels": ["nice"]}, "/labels/0"),
        ({"verdict": "accept", "answers": {"helpfulness": 9}}, "/answers/helpfulness"),
        ({"verdict": "accept", "note": "x" * 2001}, "/note"),
        ({"verdict": "accept", "claim": True}, "/claim"),
        ({"verdict": "accept", "mood": "good"}, "/mood"),
    ],
)
def test_a_bad_verdict_points_at_what_is_wrong_and_decides_nothing(
    desk: Desk, reviewer: User, item: ReviewItem, body: dict[str, Any], pointer: str
) -> None:
    client = desk(reviewer)
    claim = client.post(NEXT, {}, JSON).json()["claim"]["number"]
    response = client.post(at("review-verdicts", item.pk), {"claim": claim, **body}, JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer)
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "lost"),
        ("outcome", ""),
        ("reason", "bad"),
        ("card", "acme"),
        ("card", "no/such"),
        ("variant", "no/such:one"),
        ("thumb", "sideways"),
        ("about", "dogs"),
        ("signs", "yes"),
        ("since", "yesterday"),
        ("campaign", "x" * 81),
        ("cursor", "none"),
        ("limit", "1001"),
        ("mood", "good"),
    ],
)
def test_a_filter_that_is_not_understood_is_a_400_that_names_it(
    desk: Desk, reviewer: User, name: str, value: str
) -> None:
    response = desk(reviewer).get(LIST, {name: value})
    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, name)


def test_the_list_is_filtered_and_read_once_while_items_arrive(desk: Desk, reviewer: User, alice: User) -> None:
    items = [item_of(judge(alice, thumb=thumb, comment=f"Number {thumb}.")) for thumb in ("up", "down", "up")]
    client = desk(reviewer)
    first = client.get(LIST, {"limit": 2}).json()
    judge(alice)
    rest = client.get(first["next"]).json()
    assert [row["id"] for row in first["results"] + rest["results"]] == [each.pk for each in reversed(items)]
    down = client.get(LIST, {"thumb": "down", "card": "smol/lm2", "state": "open", "fields": "id"}).json()["results"]
    assert down == [{"id": items[1].pk}]


def test_an_item_read_again_is_a_304_while_it_is_the_same(
    desk: Desk, reviewer: User, others: tuple[User, User], item: ReviewItem
) -> None:
    address, client = at("review-item", item.pk), desk(reviewer)
    tag = client.get(address)["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    give_verdict(others[0], item)
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_a_page_takes_the_same_queries_however_full(desk: Desk, reviewer: User, alice: User) -> None:
    judge(alice, comment="One.")
    client = desk(reviewer)
    client.get(LIST)
    counts: list[int] = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(LIST).json()["results"]
        counts.append(len(queries))
        for number in range(4):
            judge(alice, comment=f"Number {number}.")
    assert counts[0] == counts[1] <= 8
