"""Inside a run: what a trace tells, checked against numpy and scipy; its pages; and going on from another token."""

from __future__ import annotations

import math
import uuid
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.active_run import ActiveRun
from portal.playground.inside import entropy_bits, read_tokens, score_text
from portal.playground.models import Generation, Kind, State, TokenTrace
from tests.playground.turns import add_turn, make_conversation


def token(number: int, text: str, p: float | None, *others: tuple[str, float]) -> dict[str, Any]:
    chosen = [] if p is None else [{"id": number, "text": text, "logprob": math.log(p)}]
    top = chosen + [{"id": 100 + at, "text": word, "logprob": math.log(q)} for at, (word, q) in enumerate(others)]
    logprob = None if p is None else math.log(p)
    return {"id": number, "text": text, "logprob": logprob, "channel": "answer", "top": top if others else []}


TRACE = [
    token(1, "A", 0.95, (" B", 0.04)),
    token(2, " steel", 0.25, (" sp", 0.5), ("\n", 0.2)),
    token(3, "yard\n", 0.05),
]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, 10), min_size=2, max_size=60), st.integers(1, 20))
def test_the_entropy_from_the_top_is_a_lower_bound_that_is_exact_when_nothing_is_left(
    weights: list[float], kept: int
) -> None:
    distribution = np.sort(np.array(weights) / np.sum(weights))[::-1]
    true = float(entropy(distribution, base=2))
    assert entropy_bits(list(distribution)) == pytest.approx(true, abs=1e-6)
    assert entropy_bits(list(distribution[:kept])) <= true + 1e-9


def test_perplexity_is_the_exponential_of_the_mean_surprise_and_leaves_out_what_nothing_precedes() -> None:
    rng = np.random.default_rng(1)
    logprobs = [None, *(-rng.exponential(3, size=200))]
    tokens = read_tokens([{"id": 1, "text": "x", "logprob": each, "top": []} for each in logprobs])
    score = score_text(tokens)
    measured = np.array(logprobs[1:], dtype=float)
    assert score.perplexity == pytest.approx(float(np.exp(-measured.mean())))
    assert score.bits_per_token == pytest.approx(float(-measured.mean() / np.log(2)))
    assert (score.measured, len(score.surprising)) == (200, 10)
    assert score.surprising[0].logprob == measured.min()
    assert score_text(read_tokens([{"id": 1, "text": "x", "logprob": None, "top": []}])).perplexity is None


def test_steps_go_from_calm_to_surprising() -> None:
    steps = [each.probability_step for each in read_tokens([token(1, "x", p) for p in (1, 0.9, 0.6, 0.3, 0.1, 0.01)])]
    assert steps == [0, 0, 1, 2, 3, 4]
    assert read_tokens([token(1, "x", None)])[0].probability_step is None


@pytest.fixture
def run(alice: User, variant: Variant) -> Generation:
    turn = add_turn(make_conversation(alice), variant, output="A steelyard\n")
    TokenTrace.objects.create(generation=turn, tokens=TRACE)
    return turn


@pytest.mark.django_db
def test_a_token_opens_with_its_alternatives_without_scripts(alice_client: Client, run: Generation) -> None:
    url = reverse("playground:inside", args=[run.pk])
    page = alice_client.get(url).content.decode()
    assert 'class="token token--0" href="?token=0" data-p="95.0 %"' in page
    assert 'class="token token--4"' in page
    assert "yard↵\n</a>" in page
    page = alice_client.get(url, {"token": 1, "by": "entropy"}).content.decode()
    assert "␣steel" in page
    assert page.count("Continue from here<") == 2
    assert "≥ 1.68 bit" in page or "≥ 1.67 bit" in page or "≥ 1.66 bit" in page
    assert 'href="?by=entropy&amp;token=2"' in page
    assert f'href="{url}?by=entropy" hx-get' in page, "it can be closed"
    for nonsense in ("99", "-1", "x", "9" * 50):
        assert "Nothing is chosen yet" in alice_client.get(url, {"token": nonsense}).content.decode()


@pytest.mark.django_db
def test_the_table_says_the_same_by_pages(alice_client: Client, run: Generation) -> None:
    TokenTrace.objects.filter(generation=run).update(tokens=TRACE * 70)
    url = reverse("playground:inside", args=[run.pk])
    page = alice_client.get(url, {"view": "table", "page": 3}).content.decode()
    assert page.count("<tr>") == 11
    assert "Page 3 of 3" in page
    assert "␣sp</span> 50.0 %" in page


@pytest.mark.django_db
def test_going_on_from_an_alternative_makes_a_sibling_that_begins_with_it(
    alice_client: Client, run: Generation, variant: Variant
) -> None:
    Generation.objects.filter(pk=run.pk).update(messages=[{"role": "user", "content": "as it was sent"}])
    sent = {"token": "1", "alternative": "1", "request_key": str(uuid.uuid4())}
    url = reverse("playground:branch", args=[run.pk])
    response = alice_client.post(url, sent)
    sibling = Generation.objects.exclude(pk=run.pk).get()
    assert response["Location"] == sibling.get_absolute_url()
    assert (sibling.branched_from, sibling.branch_token, sibling.parent) == (run, 1, None)
    assert sibling.opening == [{"id": 1, "text": "A"}, {"id": 100, "text": " sp"}]
    assert sibling.messages == [{"role": "user", "content": "as it was sent"}]
    assert sibling.params == run.params
    assert ActiveRun(sibling, None).request(10).answer_prefix == (1, 100)  # type: ignore[arg-type]
    assert alice_client.post(url, sent)["Location"] == sibling.get_absolute_url()
    page = alice_client.get(sibling.get_absolute_url()).content.decode()
    assert "up to token 2" in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sent", [{"token": "9", "alternative": "0"}, {"token": "1", "alternative": "7"}, {"token": "-1", "alternative": ""}]
)
def test_what_the_run_does_not_have_starts_nothing(alice_client: Client, run: Generation, sent: dict[str, str]) -> None:
    url = reverse("playground:branch", args=[run.pk])
    page = alice_client.post(url, sent | {"request_key": str(uuid.uuid4())}, follow=True).content.decode()
    assert "This run has no such token" in page or "This token has no such alternative" in page
    assert alice_client.post(url, {"token": "1", "alternative": "1"}).status_code == 404
    assert Generation.objects.count() == 1


@pytest.mark.django_db
def test_an_upstreams_tokens_without_ids_go_on_as_text(alice: User, variant: Variant) -> None:
    opening = [{"id": -1, "text": "A"}, {"id": -1, "text": " b"}]
    turn = add_turn(make_conversation(alice), variant, opening=opening, kind=Kind.COMPLETION)
    request = ActiveRun(turn, None).request(10)  # type: ignore[arg-type]
    assert (request.answer_prefix, request.completion, request.score) == ("A b", True, False)


@pytest.mark.django_db
def test_the_inside_is_its_owners_alone(
    bob_client: Client, visitor_client: Client, alice_client: Client, run: Generation, variant: Variant
) -> None:
    inside, branch = (reverse(f"playground:{name}", args=[run.pk]) for name in ("inside", "branch"))
    for stranger in (bob_client, visitor_client):
        assert stranger.get(inside).status_code == 404
        assert stranger.post(branch, {"token": "1", "alternative": "1"}).status_code == 404
    assert alice_client.get(branch).status_code == 405
    running = add_turn(run.conversation, variant, state=State.QUEUED)
    assert alice_client.get(reverse("playground:inside", args=[running.pk]))["Location"] == running.get_absolute_url()
