"""Side by side: the address says all, answers stand beside each other, and a vote makes pairs."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Comparison, Contest, Kind, Outcome, Vote
from portal.arena.voting import vote_side_by_side
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from tests.arena.contests import finish, make_contest
from tests.conftest import signed_in


def columns(*variants: Variant, **fields: str) -> dict[str, str]:
    form = {"prompt": "What is a steelyard?", "request_key": str(uuid.uuid4()), "columns": str(len(variants))}
    for index, variant in enumerate(variants):
        form[f"c{index}-variant"] = variant.model_id
    return form | fields


def begin(client: Client, *variants: Variant, **fields: str) -> Contest:
    response = client.post(reverse("arena:compare"), columns(*variants, **fields))
    assert response.status_code == 302, response.content.decode()
    return Contest.objects.get(pk=response["Location"].split("/")[-2])


def test_two_to_four_columns_answer_one_prompt_with_their_own_parameters(
    alice_client: Client, variants: list[Variant]
) -> None:
    one, other = variants
    fields = {"c0-temperature": "0", "c1-temperature": "1.5", "c2-seed": "7", "c2-max_tokens": "9"}
    contest = begin(alice_client, one, one, other, other, system_prompt="Be brief.", **fields)
    runs = list(Generation.objects.order_by("reply__contender__position"))
    assert [run.params["temperature"] for run in runs] == [0, 1.5, 0.2, 0.2]
    assert (runs[2].params["seed"], runs[2].params["max_tokens"]) == (7, 9)
    assert {run.messages[0]["content"] for run in runs} == {"Be brief."}
    page = alice_client.get(contest.get_absolute_url()).content.decode()
    assert page.count("data-stream=") == 4
    assert "Stop all" in page


def test_every_parameter_may_differ_and_what_differs_stands_with_the_answers(
    alice_client: Client, variants: list[Variant]
) -> None:
    page = alice_client.get(reverse("arena:compare")).content.decode()
    names = ("temperature", "top_k", "min_p", "stop", "logit_bias", "top_logprobs", "frequency_penalty")
    for name in names:
        assert f'name="c1-{name}"' in page
        assert f'data-compared="{name}"' in page
    fields = {"c0-top_k": "5", "c1-stop": "END\n\\n", "c1-logit_bias": "7: -2", "c0-seed": "7", "c1-seed": "7"}
    contest = begin(alice_client, variants[0], variants[0], **fields)
    one, other = Generation.objects.order_by("reply__contender__position")
    assert (one.params["top_k"], one.params["stop"], other.params["stop"]) == (5, [], ["END", "\n"])
    assert other.params["logit_bias"] == {"7": -2.0}
    page = alice_client.get(contest.get_absolute_url()).content.decode()
    for shown in ("top_k 5", "top_k 0", "stop END", "logit_bias 7: -2"):
        assert f"<span>{shown}" in page
    assert "<span>seed" not in page
    # A refused one is seen without unfolding anything.
    refused = alice_client.post(reverse("arena:compare"), columns(*variants, **{"c1-min_p": "7"}))
    assert refused.status_code == 422
    assert refused.content.decode().count('<details class="settings__fold" open data-more-parameters>') == 1


def test_the_address_says_what_the_form_shows(alice_client: Client, variants: list[Variant]) -> None:
    query = {"columns": "3", "prompt": "Why?", "c1-variant": variants[1].model_id, "c2-temperature": "0.9"}
    page = alice_client.get(reverse("arena:compare"), query).content.decode()
    assert page.count('<fieldset class="contender') == 3
    assert ">\nWhy?</textarea>" in page
    assert 'name="c2-temperature" value="0.9"' in page
    for nonsense in ("9", "x", "-1", "٣"):
        page = alice_client.get(reverse("arena:compare"), {"columns": nonsense}).content.decode()
        assert page.count('<fieldset class="contender') in {2, 4}


def test_a_wrong_parameter_is_refused_beside_its_field(alice_client: Client, variants: list[Variant]) -> None:
    for name, value in (("c1-temperature", "9"), ("c1-top_p", "0"), ("c0-variant", "no/such:one"), ("c0-seed", "-1")):
        response = alice_client.post(reverse("arena:compare"), columns(*variants, **{name: value}))
        assert response.status_code == 422, name
        assert "field--invalid" in response.content.decode(), name
    assert not Contest.objects.exists()


def test_nobody_else_reaches_a_comparison(
    alice: User, bob_client: Client, visitor_client: Client, variants: list[Variant]
) -> None:
    contest = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    for client in (bob_client, visitor_client, Client()):
        assert client.get(contest.get_absolute_url()).status_code == 404
        assert client.get(reverse("arena:side_by_side_reply", args=[contest.pk, 1, "a"])).status_code == 404
        for name, args in (("vote", ()), ("stop", ()), ("retry", (1, "a"))):
            url = reverse(f"arena:side_by_side_{name}", args=[contest.pk, *args])
            assert client.post(url, {"turn": 1, "verdict": "a"}).status_code == 404
    owner = signed_in(alice)
    for name, args in (("vote", ()), ("stop", ()), ("retry", (1, "a"))):
        assert owner.get(reverse(f"arena:side_by_side_{name}", args=[contest.pk, *args])).status_code == 405


def test_of_two_answers_one_is_better_and_of_three_one_is_the_best(
    alice: User, alice_client: Client, variants: list[Variant]
) -> None:
    two = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    page = alice_client.get(two.get_absolute_url()).content.decode()
    assert ("A is better" in page, "Both bad" in page, "is the best" in page) == (True, True, False)
    url = reverse("arena:side_by_side_vote", args=[two.pk])
    after = alice_client.post(url, {"turn": "1", "verdict": "both_bad"}, follow=True).content.decode()
    assert "You said that both are bad." in after
    three = make_contest(alice, [*variants, variants[0]], Kind.SIDE_BY_SIDE)
    page = alice_client.get(three.get_absolute_url()).content.decode()
    assert ("A is the best" in page, "All bad" in page, "is better" in page) == (True, True, False)


def test_the_best_of_three_wins_against_both_others(
    alice: User, alice_client: Client, bob_client: Client, variants: list[Variant]
) -> None:
    contest = make_contest(alice, [*variants, variants[0]], Kind.SIDE_BY_SIDE)
    url = reverse("arena:side_by_side_vote", args=[contest.pk])
    said = {"turn": "1", "verdict": "b", "reasons": ["correct", "concise"]}
    page = alice_client.post(url, said, follow=True).content.decode()
    assert "You said that B is the best." in page
    assert "More correct" in page
    for letters, comparison in zip(("A and B", "B and C"), Comparison.objects.order_by("created_at"), strict=True):
        more = reverse("feedback:comparison_questionnaires", args=[comparison.pk])
        assert f'href="{more}">Say more about {letters}</a>' in page
        assert reverse("feedback:report_comparison", args=[comparison.pk, "comparison"]) in (
            alice_client.get(more).content.decode()
        )
        assert bob_client.get(more).status_code == 404
    pairs = [
        (vote.comparison.generation_a.output, vote.comparison.generation_b.output, vote.outcome, vote.reasons)
        for vote in Vote.objects.order_by("created_at")
        if vote.comparison is not None
    ]
    assert pairs == [
        ("Answer A.", "Answer B.", Outcome.B, ["correct", "concise"]),
        ("Answer B.", "Answer C.", Outcome.A, ["correct", "concise"]),
    ]
    assert not any(vote.is_ranked for vote in Vote.objects.all())
    again = alice_client.post(url, said | {"verdict": "a"}, follow=True).content.decode()
    assert "You have voted on this turn already." in again
    assert Comparison.objects.count() == 2


@pytest.mark.parametrize("verdict", ["tie", "both_bad"])
def test_none_is_better_holds_for_every_pair(
    alice: User, alice_client: Client, variants: list[Variant], verdict: str
) -> None:
    contest = make_contest(alice, [*variants, variants[0]], Kind.SIDE_BY_SIDE)
    url = reverse("arena:side_by_side_vote", args=[contest.pk])
    alice_client.post(url, {"turn": "1", "verdict": verdict})
    assert [vote.outcome for vote in Vote.objects.all()] == [verdict] * 3


def test_a_vote_for_nothing_is_refused(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    url = reverse("arena:side_by_side_vote", args=[contest.pk])
    for said in ({}, {"turn": "1"}, {"turn": "1", "verdict": "c"}, {"turn": "9", "verdict": "a"}, {"verdict": "x"}):
        alice_client.post(url, said)
    alice_client.post(url, {"turn": "1", "verdict": "a", "reasons": ["no such"]})
    assert not Vote.objects.exists()


def test_differences_are_marked_once_all_have_ended(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    page = alice_client.get(contest.get_absolute_url(), {"differences": "1"}).content.decode()
    assert "Answer <del>A</del><ins>B</ins>." in page.replace("\n", "")
    Generation.objects.update(output="Same.")
    page = alice_client.get(contest.get_absolute_url(), {"differences": "1"}).content.decode()
    assert "Word for word the same." in page


def test_turns_stop_and_retry(alice_client: Client, variants: list[Variant]) -> None:
    contest = begin(alice_client, *variants)
    alice_client.post(reverse("arena:side_by_side_stop", args=[contest.pk]))
    assert {run.state for run in Generation.objects.all()} == {State.CANCELLED}
    sent = {"prompt": "Go on", "request_key": str(uuid.uuid4())}
    assert alice_client.post(contest.get_absolute_url(), sent).status_code == 302
    finish(contest, "", "", state=State.FAILED, finish_reason="", error_code="internal", error_message="It broke.")
    assert "It broke." in alice_client.get(contest.get_absolute_url()).content.decode()
    alice_client.post(reverse("arena:side_by_side_retry", args=[contest.pk, 2, "b"]))
    assert Generation.objects.filter(state=State.QUEUED).count() == 1
    part = alice_client.get(
        reverse("arena:side_by_side_reply", args=[contest.pk, 2, "a"]), headers={"HX-Request": "true"}
    )
    assert "It broke." in part.content.decode()
    assert alice_client.get(reverse("arena:side_by_side_reply", args=[contest.pk, 2, "a"])).status_code == 302


def test_runs_side_by_side_are_not_on_the_list_of_conversations(alice_client: Client, variants: list[Variant]) -> None:
    begin(alice_client, *variants)
    assert "No conversations yet" in alice_client.get(reverse("playground:conversations")).content.decode()
    assert "What is a steelyard?" in alice_client.get(reverse("arena:compare")).content.decode()


def test_another_column_keeps_what_stands_in_the_form_and_sends_nothing(
    alice_client: Client, variants: list[Variant]
) -> None:
    # Longer than any address may be, and longer than a prompt may be: only sending it is refused.
    typed = {"prompt": "ä" * 32_001, "c0-temperature": "5", "c1-variant": variants[0].model_id, "show_columns": "3"}
    page = alice_client.post(reverse("arena:compare"), typed).content.decode()
    assert "ä" * 32_001 in page
    assert [f'name="c{column}-variant"' in page for column in range(4)] == [True, True, True, False]
    assert re.search(r'name="c0-temperature"[^>]* value="5"|value="5"[^>]* name="c0-temperature"', page)
    assert "Not sent." not in page
    assert not Contest.objects.exists()


def test_the_list_of_comparisons_takes_the_same_queries_whatever_its_length(
    alice: User, alice_client: Client, variants: list[Variant], django_assert_max_num_queries: Any
) -> None:
    for _each in range(6):
        make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    with django_assert_max_num_queries(11):
        page = alice_client.get(reverse("arena:compare")).content.decode()
    assert page.count("conversations__row") == 5
    assert "tokens left" in page


def test_a_comparisons_page_takes_the_same_queries_whatever_its_turns(
    alice_client: Client, variants: list[Variant], django_assert_max_num_queries: Any
) -> None:
    contest = begin(alice_client, *variants)
    for _turn in range(4):
        finish(contest, "One.", "Two.")
        alice_client.post(contest.get_absolute_url(), {"prompt": "On", "request_key": str(uuid.uuid4())})
    finish(contest, "One.", "Two.")
    with django_assert_max_num_queries(10):
        page = alice_client.get(contest.get_absolute_url()).content.decode()
    assert "tokens left" in page


def test_votes_on_more_turns_take_no_more_queries(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = begin(alice_client, *variants)
    costs = []
    for turn in range(1, 4):
        finish(contest, "One.", "Two.")
        vote_side_by_side(Actor(user=alice), contest, turn, 0)
        alice_client.get(contest.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            assert alice_client.get(contest.get_absolute_url()).text.count("contest__verdict") == turn
        costs.append(len(queries))
        alice_client.post(contest.get_absolute_url(), {"prompt": "On", "request_key": str(uuid.uuid4())})
    assert costs[0] == costs[2] <= 14
