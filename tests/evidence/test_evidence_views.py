"""Evidence on a card: what counts, with its number and interval; its page, its section, and its file for model hubs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from huggingface_hub import ModelCard as HubCard

from portal.accounts.models import User
from portal.catalog.card_text import parse_card
from portal.catalog.models import ModelCard, Variant
from portal.catalog.services import publish_revision
from portal.evidence.intervals import Share
from portal.evidence.queries import read_evidence
from portal.evidence.trend_chart import draw_trend
from portal.feedback.models import ReviewState, Submission
from portal.feedback.withdrawing import withdraw_submission
from portal.reviews.models import Limitation
from tests.feedback.judgements import judge, make_generation, make_variant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_limits")]

TEXT = """---
license: mit
model-index:
- name: lm2
  results:
  - task: {type: text-generation}
    dataset: {type: ifeval, name: IFEval}
    metrics: [{type: score, value: 29.9}]
    source: {name: Lab, url: 'https://lab.example'}
---
# Text

Stays **as it is**.
"""


@pytest.fixture
def variant() -> Variant:
    made = make_variant()
    publish_revision(made.card, TEXT, None)
    return made


@pytest.fixture
def judged(variant: Variant, make_user: Callable[..., User]) -> ModelCard:
    """Six judgements by six people on two variants in two months, of which one was withdrawn and one put aside."""
    int8 = make_variant(slug="int8")
    said: list[tuple[Variant, datetime, dict[str, Any]]] = [
        (variant, datetime(2026, 9, 3, tzinfo=UTC), {"thumb": "up", "helpfulness": 5}),
        (variant, datetime(2026, 9, 4, tzinfo=UTC), {"thumb": "down", "helpfulness": 2, "reasons_down": ["incorrect"]}),
        (int8, datetime(2026, 10, 1, tzinfo=UTC), {"thumb": "down", "reasons_down": ["incorrect", "incomplete"]}),
        (int8, datetime(2026, 10, 2, tzinfo=UTC), {"thumb": "up", "helpfulness": 4}),
        (variant, datetime(2026, 10, 3, tzinfo=UTC), {"thumb": "down", "helpfulness": 1}),
        (variant, datetime(2026, 10, 4, tzinfo=UTC), {"thumb": "down", "helpfulness": 1}),
    ]
    given = []
    for number, (of, at, answers) in enumerate(said):
        person = make_user(f"judge{number}")
        given.append(judge(person, make_generation(person, variant=of), created_at=at, **answers))
    owner = given[4].owner
    assert owner is not None
    from portal.accounts.actors import Actor

    withdraw_submission(Actor(user=owner), given[4].pk)
    Submission.objects.filter(pk=given[5].pk).update(review_state=ReviewState.SPAM)
    return variant.card


def test_every_number_has_its_n_and_what_was_put_aside_does_not_count(judged: ModelCard) -> None:
    evidence = read_evidence(judged)
    assert (evidence.judgements, evidence.people, evidence.thumbs) == (4, 4, Share(2, 4))
    (axis,) = [each for each in evidence.axes if each.key == "helpfulness"]
    assert (round(axis.mean.value, 3), axis.mean.n, axis.smallest, axis.largest) == (3.667, 3, 1, 5)
    assert [(reason.share.hits, reason.share.n) for reason in evidence.reasons] == [(2, 2), (1, 2)]
    assert [(row.variant.slug, row.thumbs) for row in evidence.variants] == [
        ("bf16", Share(1, 2)),
        ("int8", Share(1, 2)),
    ]
    assert [(str(row.month), row.thumbs) for row in evidence.months] == [
        ("2026-09-01", Share(1, 2)),
        ("2026-10-01", Share(1, 2)),
    ]


def test_the_page_shows_numbers_with_intervals_and_a_chart_with_its_table(client: Client, judged: ModelCard) -> None:
    Limitation.objects.create(card=judged, title="Miscounts <letters>")
    html = client.get(judged.get_absolute_url() + "evidence/").content.decode()
    assert "50 % (15 to 85 %, n = 4)" in html
    assert "3.67 (1.00 to 5.00, n = 3)" in html
    assert "Wrong facts or reasoning" in html
    assert '<svg class="trend"' in html
    assert "2026-10" in html
    assert "Miscounts &lt;letters&gt;" in html
    assert "4 judgements of answers, by 4 people" in html


def test_the_card_asks_for_its_section_and_links_to_the_page(client: Client, judged: ModelCard) -> None:
    address = judged.get_absolute_url() + "evidence/"
    card = client.get(judged.get_absolute_url()).content.decode()
    assert f'hx-get="{address}"' in card
    assert f'<a href="{address}">' in card
    part = client.get(address, headers={"HX-Request": "true"})
    assert part.content.decode().lstrip().startswith('<section class="section evidence"')
    assert "HX-Request" in part["Vary"]


def test_without_any_judgement_it_says_what_will_be_here(client: Client, variant: Variant) -> None:
    html = client.get(variant.card.get_absolute_url() + "evidence/").content.decode()
    assert "Nobody has judged an answer of this model here yet." in html
    file = client.get(variant.card.get_absolute_url() + "evidence/README.md")
    assert file.content.decode() == TEXT


def test_the_file_loads_in_the_hub_library_with_this_installation_as_the_source(
    client: Client, judged: ModelCard, settings: Any
) -> None:
    settings.SITE_URL = "https://steelyard.example.org"
    response = client.get(judged.get_absolute_url() + "evidence/README.md")
    assert response["Content-Disposition"] == 'attachment; filename="README.md"'
    text = response.content.decode()
    assert parse_card(text).body == parse_card(TEXT).body
    hub = HubCard(text)
    results = hub.data.eval_results
    assert results is not None
    assert (results[0].metric_value, results[0].source_name) == (29.9, "Lab")
    ours = {each.metric_type: each for each in results[1:]}
    assert set(ours) == {"good_answer_share", "mean_helpfulness"}
    share = ours["good_answer_share"]
    assert share.source_name == "Steelyard, steelyard.example.org"
    assert share.source_url == "https://steelyard.example.org/models/smol/lm2/evidence/"
    assert (share.metric_value, share.metric_args["n"]) == (0.5, 4)
    assert share.metric_args["low"] == pytest.approx(0.15, abs=0.01)
    assert ours["mean_helpfulness"].metric_value == 3.667


def test_more_judgements_take_no_more_queries(
    client: Client, judged: ModelCard, make_user: Callable[..., User]
) -> None:
    address = judged.get_absolute_url() + "evidence/"
    client.get(address)
    counts = []
    for number in range(2):
        person = make_user(f"more{number}")
        judge(person, make_generation(person, variant=make_variant(slug=f"v{number}")), helpfulness=3)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 20


def test_an_unpublished_cards_evidence_is_for_maintainers_alone(
    client: Client, alice_client: Client, maintainer_client: Client, judged: ModelCard
) -> None:
    ModelCard.objects.update(is_published=False)
    for path in ("evidence/", "evidence/README.md"):
        for browser in (client, alice_client):
            assert browser.get(judged.get_absolute_url() + path).status_code == 404
        assert maintainer_client.get(judged.get_absolute_url() + path).status_code == 200
        assert maintainer_client.post(judged.get_absolute_url() + path).status_code == 405


def test_one_month_is_no_trend(judged: ModelCard) -> None:
    months = read_evidence(judged).months
    assert draw_trend(months[:1]) is None
    chart = draw_trend(months)
    assert chart is not None
    assert all(point.high_y <= point.y <= point.low_y for point in chart.points)
