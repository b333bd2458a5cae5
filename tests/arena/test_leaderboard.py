"""Rankings: which votes they are made of, when they are made again, what the page and the files say."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.arena import tasks
from portal.arena.models import Category, Kind, Outcome, Pool, Ranking, VoidReason, Vote
from portal.arena.ranking import Filters, HighWater, compute_ranking
from portal.arena.review_states import ReviewState
from portal.arena.tasks import refresh_ranking, refresh_rankings, remember_ranking
from portal.arena.vote_files import COLUMNS, ROWS_PER_PIECE
from portal.catalog.models import Variant
from tests.arena.contests import add_votes
from tests.playground.turns import make_variant

ALL = Filters(pool="models")
LONG = {"characters": 900, "headers": 2, "lists": 4, "bold": 3}
SHORT = {"characters": 300, "headers": 0, "lists": 1, "bold": 0}


@pytest.fixture
def trio(variants: list[Variant]) -> list[Variant]:
    return [*variants, make_variant("third/model")]


@pytest.fixture
def votes(trio: list[Variant]) -> list[Vote]:
    """300 votes in which the first of three is the best and the last the worst."""
    source = random.Random(4)
    pairs = []
    for _each in range(300):
        one, other = source.sample(range(3), 2)
        better = source.random() < 0.5 + 0.2 * (other - one)
        outcome = source.choice([Outcome.TIE, Outcome.BOTH_BAD]) if source.random() < 0.2 else None
        pairs.append((trio[one], trio[other], outcome or (Outcome.A if better else Outcome.B)))
    return add_votes(pairs, style_a=LONG, style_b=SHORT, language="en")


def test_a_ranking_orders_the_models_and_accounts_for_every_vote(votes: list[Vote], trio: list[Variant]) -> None:
    ranking = compute_ranking(ALL, rounds=100)
    assert [each["variant"] for each in ranking["models"]] == [variant.pk for variant in trio]
    assert [each["plain"]["rank"] for each in ranking["models"]] == [1, 2, 3]
    assert sum(each["n"] for each in ranking["models"]) == 600
    for each in ranking["models"]:
        assert each["wins"] + each["losses"] + each["ties"] == each["n"]
        for place in (each["plain"], each["styled"]):
            assert place["lower"] < place["elo"] < place["upper"]
    outcomes = [vote.outcome for vote in votes]
    decided = outcomes.count("a") + outcomes.count("b")
    assert ranking["ties"]["share"] == pytest.approx(outcomes.count("tie") / 300, abs=1e-4)
    assert ranking["both_bad"]["share"] == pytest.approx(outcomes.count("both_bad") / 300, abs=1e-4)
    assert (ranking["left_wins"]["n"], ranking["left_wins"]["share"]) == (
        decided,
        pytest.approx(outcomes.count("a") / decided, abs=1e-4),
    )
    assert [each["feature"] for each in ranking["style"]] == ["characters", "headers", "lists", "bold"]
    pair = next(each for each in ranking["pairs"] if each["variant"] == trio[0].pk and each["against"] == trio[2].pk)
    assert pair["share"] > 0.6
    assert pair["expected"] == pytest.approx(pair["share"], abs=0.12)


def test_the_same_votes_give_the_same_ranking(votes: list[Vote]) -> None:
    once, again = compute_ranking(ALL, rounds=50), compute_ranking(ALL, rounds=50)
    assert once | {"seconds": 0} == again | {"seconds": 0}


def test_only_ranked_votes_count(trio: list[Variant], maintainer: User) -> None:
    one, other, _third = trio
    said = [(one, other, Outcome.A)]
    add_votes(said)
    add_votes(said, void_reason=VoidReason.NAME_IN_ANSWER)
    add_votes(said, review_state=ReviewState.REJECTED)
    add_votes(said, kind=Kind.SIDE_BY_SIDE, pool=None)
    add_votes(said, pool=Pool.objects.get(slug="precisions"))
    assert compute_ranking(ALL, rounds=10)["votes"] == 1


@pytest.mark.parametrize(
    ("narrowed", "columns"),
    [
        ({"language": "de"}, {"language": "de"}),
        ({"category": "code"}, {"category": Category.CODE}),
        ({"is_hard": True}, {"hardness": 2}),
        ({"accepted_only": True}, {"review_state": ReviewState.ACCEPTED}),
    ],
)
def test_filters_narrow_the_votes(trio: list[Variant], narrowed: dict[str, Any], columns: dict[str, Any]) -> None:
    one, other, third = trio
    add_votes([(one, other, Outcome.A)] * 3)
    add_votes([(other, third, Outcome.B)] * 2, **columns)
    filters = Filters(pool="models", **narrowed)
    assert (HighWater.of(ALL).votes, HighWater.of(filters).votes) == (5, 2)
    assert filters.key != ALL.key


def test_a_period_and_a_variant_narrow_too(trio: list[Variant]) -> None:
    one, other, third = trio
    add_votes([(one, other, Outcome.A)], created_at=timezone.now() - timedelta(days=40))
    add_votes([(other, third, Outcome.A)])
    assert HighWater.of(Filters(pool="models", days=30)).votes == 1
    assert HighWater.of(Filters(pool="models", days=90)).votes == 2
    assert HighWater.of(Filters(pool="models", variant=one.pk)).votes == 1


def test_agreement_compares_first_two_votes_on_the_same_question(trio: list[Variant], alice: User, bob: User) -> None:
    one, other, _third = trio
    same, changed, alone = "a" * 64, "b" * 64, "c" * 64
    add_votes([(one, other, Outcome.A)], prompt_digest=same, owner=alice)
    # The same preference with the sides changed.
    add_votes([(other, one, Outcome.B)], prompt_digest=same, owner=bob)
    add_votes([(one, other, Outcome.B)], prompt_digest=same, owner=bob)
    add_votes([(one, other, Outcome.A), (one, other, Outcome.TIE)], prompt_digest=changed, owner=alice)
    add_votes([(one, other, Outcome.A)], prompt_digest=alone)
    agreement = compute_ranking(ALL, rounds=10)["agreement"]
    assert (agreement["two_people"]["share"], agreement["two_people"]["n"]) == (1.0, 1)
    assert (agreement["one_person"]["share"], agreement["one_person"]["n"]) == (0.0, 1)


def test_a_ranking_is_made_again_only_when_votes_have_changed(votes: list[Vote]) -> None:
    ranking = remember_ranking(ALL)
    assert refresh_ranking(ranking)
    ranking.refresh_from_db()
    assert (ranking.vote_count, ranking.result["votes"]) == (300, 300)
    Ranking.objects.update(busy_until=timezone.now())
    assert not refresh_ranking(ranking)
    votes[0].void(VoidReason.OPERATOR)
    assert refresh_ranking(ranking)
    ranking.refresh_from_db()
    assert ranking.vote_count == 299
    Ranking.objects.update(busy_until=timezone.now())
    # The number stays, and yet another vote counts.
    votes[1].void(VoidReason.OPERATOR)
    votes[0].count_again()
    assert refresh_ranking(ranking)


def test_one_computes_at_a_time_and_a_failure_gives_the_turn_back(
    votes: list[Vote], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking = remember_ranking(ALL)
    assert ranking.claim(timedelta(minutes=1))
    assert not refresh_ranking(ranking)
    ranking.release(timedelta(0))

    def fail(_filters: Filters) -> dict[str, Any]:
        raise MemoryError

    monkeypatch.setattr(tasks, "compute_ranking", fail)
    with pytest.raises(MemoryError):
        refresh_ranking(ranking)
    ranking.refresh_from_db()
    assert ranking.busy_until < timezone.now() + timedelta(minutes=1)


def test_the_task_keeps_every_pools_ranking_and_forgets_what_nobody_reads(
    votes: list[Vote], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "KEPT_RANKINGS", 3)
    for days in (7, 30, 90):
        remember_ranking(Filters(pool="models", days=days))
        Ranking.objects.filter(pk=Filters(pool="models", days=days).key).update(
            asked_at=timezone.now() - timedelta(days=days)
        )
    refresh_rankings()
    kept = {row.filters["days"]: row.result for row in Ranking.objects.filter(filters__pool="models")}
    assert set(kept) == {None, 7}
    assert kept[None]["votes"] == 300


def test_a_ranking_that_cannot_be_computed_keeps_no_other_waiting(votes: list[Vote]) -> None:
    # Asked for last, so looked at first; a filter that an earlier version of the software had.
    soon = timezone.now() + timedelta(hours=1)
    Ranking.objects.create(key="of old", filters={"pool": "models", "colour": "red"}, asked_at=soon)
    refresh_rankings()
    computed = Ranking.objects.get(pk=ALL.key)
    assert computed.result is not None
    assert computed.result["votes"] == 300


def read(client: Client, **query: Any) -> str:
    response = client.get(reverse("arena:leaderboard"), query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_page_teaches_while_there_are_no_votes(client: Client, db: None) -> None:
    assert "No votes yet" in read(client)
    assert "No votes like these" in read(client, category="code")
    assert not Ranking.objects.exists()


def test_the_page_waits_for_the_first_ranking_and_then_shows_it_to_everybody(
    client: Client, votes: list[Vote], trio: list[Variant]
) -> None:
    assert "300 votes are being ranked for the first time" in read(client)
    refresh_rankings()
    page = read(client)
    assert "hx-trigger" not in page
    assert page.count('class="chart__point"') == 3
    for variant in trio:
        assert variant.model_id in page
    assert "1,000 bootstrap rounds" in page
    add_votes([(trio[0], trio[1], Outcome.A)])
    assert "newer votes are being counted" in read(client)
    part = client.get(reverse("arena:leaderboard"), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="board"')


def test_the_first_votes_of_a_pool_are_waited_for_as_if_nothing_had_been_ranked(
    client: Client, trio: list[Variant]
) -> None:
    refresh_rankings()
    add_votes([(trio[0], trio[1], Outcome.A)])
    page = read(client)
    assert "1 vote is being ranked for the first time" in page
    assert "leaderboard__chart" not in page


def test_the_page_says_what_the_votes_cannot_tell(client: Client, trio: list[Variant]) -> None:
    one, other, third = trio
    fourth = make_variant("fourth/model")
    add_votes([(one, other, Outcome.A)] * 5 + [(third, fourth, Outcome.B)] * 5)
    refresh_rankings()
    page = read(client)
    assert "ratings of different groups cannot be compared" in page
    assert "has only won or only lost" in page
    assert "few votes" in page
    assert "never met" in page


@pytest.mark.parametrize("query", [{"variant": "x"}, {"days": "5"}, {"language": "<b>"}, {"category": "no\x00"}])
def test_what_an_address_says_wrongly_does_not_narrow_and_is_said(
    client: Client, votes: list[Vote], query: dict[str, str]
) -> None:
    refresh_rankings()
    page = read(client, **query)
    assert f"what this address says of {next(iter(query))}; it is left out" in page
    assert "300 votes" in page
    assert "left out" not in read(client, **dict.fromkeys(query, ""))


@pytest.mark.parametrize(
    ("name", "value", "said"), [("language", "xx", "xx (no votes)"), ("variant", "999999", "#999999")]
)
def test_what_no_vote_has_is_shown_as_chosen(
    client: Client, votes: list[Vote], name: str, value: str, said: str
) -> None:
    page = read(client, **{name: value})
    assert f'<option value="{value}" selected>{said}</option>' in page
    assert "No votes like these" in page


def test_a_card_that_is_not_shown_is_ranked_without_its_name(
    client: Client, votes: list[Vote], trio: list[Variant]
) -> None:
    refresh_rankings()
    trio[0].card.is_published = False
    trio[0].card.save()
    for text in (read(client), download(client, "csv"), download(client, "jsonl")):
        assert trio[0].model_id not in text
        assert f"#{trio[0].pk}" in text
        assert trio[1].model_id in text


def test_without_a_pool_in_the_address_that_of_the_newest_ranked_vote_opens(
    client: Client, votes: list[Vote], trio: list[Variant]
) -> None:
    def opened() -> str:
        return str(client.get(reverse("arena:leaderboard")).context["pool"].slug)

    assert opened() == "models"
    precisions = Pool.objects.get(slug="precisions")
    pair = (trio[0], trio[1], Outcome.A)
    add_votes([pair], pool=precisions, void_reason="operator")
    assert opened() == "models"
    add_votes([pair], pool=precisions)
    assert opened() == "precisions"
    assert client.get(reverse("arena:votes", args=["csv"])).headers["Content-Disposition"].count("precisions") == 1
    assert 'value="models"' in read(client, pool="models")


def test_an_unknown_pool_does_not_exist(client: Client, db: None) -> None:
    assert client.get(reverse("arena:leaderboard"), {"pool": "none"}).status_code == 404
    assert client.get(reverse("arena:votes", args=["csv"]), {"pool": "none"}).status_code == 404
    assert client.get(reverse("arena:votes", args=["xml"])).status_code == 404
    for name, args in (("leaderboard", ()), ("method", ()), ("votes", ("csv",))):
        assert client.post(reverse(f"arena:{name}", args=args)).status_code == 405


def test_the_page_takes_the_same_queries_whatever_the_votes(
    client: Client, votes: list[Vote], django_assert_max_num_queries: Any
) -> None:
    refresh_rankings()
    with django_assert_max_num_queries(7):
        read(client)


def download(client: Client, extension: str, **query: str) -> str:
    response = client.get(reverse("arena:votes", args=[extension]), query)
    assert response["Content-Disposition"] == f'attachment; filename="votes-models.{extension}"'
    return b"".join(response.streaming_content).decode()


def test_the_votes_can_be_downloaded_without_people_and_rank_the_same(
    client: Client, votes: list[Vote], trio: list[Variant], alice: User
) -> None:
    add_votes([(trio[0], trio[1], Outcome.A)] * ROWS_PER_PIECE, owner=alice, language="de")
    lines = [json.loads(line) for line in download(client, "jsonl").splitlines()]
    rows = list(csv.DictReader(io.StringIO(download(client, "csv"))))
    assert len(lines) == len(rows) == 300 + ROWS_PER_PIECE
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert len({line["id"] for line in lines}) == len(lines)
    assert tuple(lines[0]) == tuple(rows[0]) == COLUMNS
    assert (rows[0]["model_a"], rows[0]["characters_a"]) == (votes[0].variant_a.model_id, "900")
    assert "alice" not in json.dumps(lines)
    assert len(download(client, "jsonl", language="en").splitlines()) == 300
    add_votes([(trio[0], trio[1], Outcome.A)], void_reason=VoidReason.OPERATOR)
    assert len(download(client, "jsonl").splitlines()) == len(lines)


def test_the_method_page_says_the_numbers_of_the_code(client: Client, db: None) -> None:
    page = client.get(reverse("arena:method")).content.decode()
    for said in ("1000 times", "at least 2 of four hold", "From 50 votes on", "battles 30 per hour"):
        assert said in page
