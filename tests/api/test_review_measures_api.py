"""Gold items, one verdict on many items and quarantine over REST: previewed, done once, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import post_save
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.api import idempotency
from portal.reviews.models import GoldItem, Review, ReviewItem
from portal.reviews.services.verdicts import undo_verdict
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
GOLD, VERDICTS, QUARANTINE = (
    reverse(f"api:{name}") for name in ("review-gold", "review-bulk-verdicts", "review-bulk-quarantine")
)
JSON = "application/json"
Desk = Callable[[User], Client]


@pytest.fixture
def desk(token_client: Callable[..., Client]) -> Desk:
    return lambda person: token_client(person, Scope.REVIEW)


@pytest.fixture
def items(alice: User, reviewer: User) -> list[ReviewItem]:
    """Two of Alice's, and one of the reviewer's own."""
    return [item_of(judge(owner, thumb="down")) for owner in (alice, alice, reviewer)]


def test_one_verdict_on_many_is_told_first_and_then_given_once(
    desk: Desk, reviewer: User, items: list[ReviewItem]
) -> None:
    client = desk(reviewer)
    body: dict[str, Any] = {"items": [each.pk for each in items], "verdict": "reject", "reason": "unfounded"}
    told = client.post(VERDICTS, {**body, "preview": True}, JSON).json()
    assert (told["is_preview"], told["changed"], Review.objects.count()) == (True, 2, 0)
    effects = {tuple(each["items"]): each["words"] for each in told["consequences"]}
    assert effects == {
        (items[0].pk, items[1].pk): "have one verdict more and wait for another reviewer",
        (items[2].pk,): "are left out: your own",
    }
    key = {"Idempotency-Key": "all"}
    done, again = (client.post(VERDICTS, body, JSON, headers=key) for _ in range(2))
    assert (done.json()["is_preview"], done.json()["changed"]) == (False, 2)
    assert (again.json()["changed"], again.json()["consequences"], again["Idempotency-Replayed"]) == (2, [], "true")
    assert set(Review.objects.values_list("item", "is_bulk")) == {(each.pk, True) for each in items[:2]}
    for bad, pointer in (
        ({"items": []}, "/items"),
        ({"items": [0]}, "/items/0"),
        ({"verdict": "maybe"}, "/verdict"),
        ({"reason": "other"}, "/note"),
        ({"claim": 1}, "/claim"),
    ):
        for preview in (True, False):
            refused = client.post(VERDICTS, {**body, **bad, "preview": preview}, JSON)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize("judged", [0, 1, 4, 5])
def test_verdicts_that_broke_off_are_finished_by_sending_their_key_again(
    desk: Desk, reviewer: User, alice: User, judged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "rows_of_a_turn", lambda: 2)
    client, numbers = desk(reviewer), [item_of(judge(alice, thumb="down")).pk for _ in range(6)]

    def send() -> Any:
        body = {"items": numbers, "verdict": "accept"}
        return client.post(VERDICTS, body, JSON, headers={"Idempotency-Key": "many"})

    def break_off(**_sent: Any) -> None:
        if Review.objects.count() > judged:
            raise ConnectionError

    post_save.connect(break_off, Review)
    try:
        with pytest.raises(ConnectionError):
            send()
    finally:
        post_save.disconnect(break_off, Review)
    kept = list(Review.objects.order_by("item").values_list("item", flat=True))
    assert kept == numbers[: judged // 2 * 2], "whole parts, and nothing of the one that broke"
    for review in Review.objects.all()[:1]:
        # Sending the key again is not to give anew what was taken back meanwhile.
        undo_verdict(reviewer, review.pk)
    answer, again = send(), send()
    assert (answer.status_code, answer.json()["changed"], answer["Idempotency-Replayed"]) == (200, 6, "true")
    assert sorted(each for told in answer.json()["consequences"] for each in told["items"]) == numbers[len(kept) :]
    assert (again.json()["changed"], again.json()["consequences"]) == (6, [])
    assert sorted(Review.objects.values_list("item", flat=True)) == numbers


@pytest.mark.django_db(transaction=True)
def test_verdicts_under_one_key_at_the_same_moment_are_given_once(
    desk: Desk, reviewer: User, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "rows_of_a_turn", lambda: 2)
    numbers = [item_of(judge(alice, thumb="down")).pk for _ in range(10)]
    clients = [desk(reviewer) for _ in range(3)]

    def send(client: Client) -> Any:
        try:
            return client.post(
                VERDICTS, {"items": numbers, "verdict": "accept"}, JSON, headers={"Idempotency-Key": "k"}
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(len(clients)) as senders:
        answers = list(senders.map(send, clients))
    assert [(each.status_code, each.json()["changed"]) for each in answers] == [(200, 10)] * 3
    assert sum("Idempotency-Replayed" in each for each in answers) == 2
    told = sorted(each for answer in answers for group in answer.json()["consequences"] for each in group["items"])
    assert told == numbers == sorted(Review.objects.values_list("item", flat=True))


@pytest.mark.parametrize("verdict", ["accept", "spam"])
def test_a_preview_does_not_tell_what_the_other_reviewer_said(
    desk: Desk, reviewer: User, make_user: Callable[..., User], items: list[ReviewItem], verdict: str
) -> None:
    give_verdict(make_user("second", Role.REVIEWER), items[0])
    told = desk(reviewer).post(VERDICTS, {"items": [items[0].pk], "verdict": verdict, "preview": True}, JSON).json()
    assert [each["words"] for each in told["consequences"]] == [
        "have all their verdicts then: decided, or for a third person"
    ]


def test_items_and_all_of_a_persons_leave_the_queue_and_come_back(
    desk: Desk, operator: User, alice: User, items: list[ReviewItem]
) -> None:
    client = desk(operator)

    def out() -> set[int]:
        return set(ReviewItem.objects.filter(is_quarantined=True).values_list("pk", flat=True))

    assert client.post(QUARANTINE, {"person": "Alice", "preview": True}, JSON).json()["changed"] == 2
    assert out() == set()
    assert client.post(QUARANTINE, {"person": "alice"}, JSON).json()["changed"] == 2
    assert out() == {items[0].pk, items[1].pk}
    told = client.post(QUARANTINE, {"items": [items[0].pk, items[2].pk], "release": True}, JSON).json()
    assert (told["changed"], out()) == (1, {items[1].pk})
    for bad in (
        {},
        {"items": [items[0].pk], "person": "alice"},
        {"person": "nobody"},
        {"person": "alice", "release": 1},
    ):
        assert client.post(QUARANTINE, bad, JSON).status_code == 400
    assert out() == {items[1].pk}
    assert client.post(QUARANTINE, {"person": "alice", "release": True}, JSON).json()["changed"] == 1
    assert out() == set()


def test_a_decided_item_becomes_gold_and_only_maintainers_know(
    desk: Desk, maintainer: User, reviewer: User, make_user: Callable[..., User], items: list[ReviewItem]
) -> None:
    client, item = desk(maintainer), items[0]
    address = reverse("api:review-gold-mark", args=[item.pk])
    early = client.post(address, {"note": "Plain."}, JSON)
    assert (early.status_code, early.json()["type"]) == (409, "/api/problems/#not-decided")
    for person in (reviewer, maintainer):
        give_verdict(person, ReviewItem.objects.get(pk=item.pk))
    made = client.post(address, {"note": "Plain."}, JSON)
    assert (made.status_code, made.json()["verdict"], made.json()["created_by"]) == (201, "accept", "maintainer")
    assert client.post(address, {"note": "Plainer."}, JSON).status_code == 200
    assert [(each["item"], each["note"]) for each in client.get(GOLD).json()["results"]] == [(item.pk, "Plainer.")]
    assert GoldItem.objects.get().verdict == "accept"
    assert desk(reviewer).get(GOLD).status_code == 404


def test_who_may_not_finds_nothing_and_changes_nothing(
    desk: Desk,
    token_client: Callable[..., Client],
    client: Client,
    alice_client: Client,
    reviewer: User,
    maintainer: User,
    operator: User,
    items: list[ReviewItem],
) -> None:
    numbers = [each.pk for each in items]
    verdict = {"items": numbers, "verdict": "accept"}
    gold = reverse("api:review-gold-mark", args=[numbers[0]])
    # A verdict is a reviewer's, gold a maintainer's, a quarantine an operator's.
    for address, body, may_not in (
        (VERDICTS, verdict, (operator,)),
        (QUARANTINE, {"items": numbers}, (reviewer, maintainer)),
        (gold, {}, (reviewer, operator)),
    ):
        assert client.post(address, body, JSON).status_code == 401
        assert alice_client.post(address, body, JSON).status_code == 404
        assert token_client(maintainer, Scope.READ, Scope.ADMIN).post(address, body, JSON).status_code == 403
        for person in may_not:
            assert desk(person).post(address, body, JSON).status_code == 404
    assert (client.get(GOLD).status_code, alice_client.get(GOLD).status_code) == (401, 404)
    assert not Review.objects.exists()
    assert not ReviewItem.objects.filter(is_quarantined=True).exists()
