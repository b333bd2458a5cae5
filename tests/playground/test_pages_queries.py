"""What the pages read: branches, lists, figures, examples; each with a constant number of queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from portal.playground.queries import (
    example_prompts,
    find_turn,
    latest_variants,
    list_conversations,
    run_figures,
)
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db


def test_a_turn_is_found_in_its_own_conversation_alone(alice: User, variant: Variant) -> None:
    conversation, other = make_conversation(alice), make_conversation(alice)
    turn = add_turn(conversation, variant)
    assert find_turn(conversation, turn.pk) == turn
    assert find_turn(other, turn.pk) is None


def test_conversations_are_listed_newest_first_with_their_turns_and_latest_variant(
    alice: User, bob: User, variant: Variant
) -> None:
    older, newer = make_conversation(alice, "older"), make_conversation(alice, "newer")
    make_conversation(bob, "somebody else's")
    other = make_variant("smol/other")
    first = add_turn(older, variant)
    add_turn(older, variant, first, state=State.FAILED, output="")
    add_turn(older, other, first)
    add_turn(newer, variant)
    listed = list(list_conversations(actor_of(alice)))
    assert [each.title for each in listed] == ["newer", "older"]
    # The retried turn counts once.
    assert [each.turn_count for each in listed] == [1, 2]
    variants = latest_variants(listed)
    assert [variants[each.latest_variant_id] for each in listed] == [variant, other]


def test_listing_takes_two_queries_however_many_there_are(
    alice: User, variant: Variant, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        add_turn(make_conversation(alice, str(number)), variant)
    with django_assert_num_queries(2) as captured:
        listed = list(list_conversations(actor_of(alice)))
        assert [each.model_id for each in latest_variants(listed).values()]
    assert isinstance(captured, CaptureQueriesContext)


def test_figures_come_from_the_rows_usage_and_timings() -> None:
    generation = Generation(
        usage={"prompt_tokens": 30, "completion_tokens": 41, "cached_tokens": 0},
        timings={"first_token_s": 0.25, "decode_s": 2.0},
    )
    figures = run_figures(generation)
    assert (figures.prompt_tokens, figures.completion_tokens) == (30, 41)
    assert figures.first_token_s == 0.25
    # 40 tokens were decoded in the two seconds after the first one.
    assert figures.tokens_per_s == 20.0


@pytest.mark.parametrize(
    ("usage", "timings"),
    [
        ({}, {}),
        ({"completion_tokens": 1}, {"decode_s": 0.0}),
        ({"completion_tokens": 0}, {"decode_s": 1.0}),
        ({"completion_tokens": 5}, {"decode_s": 0.0}),
        ({"completion_tokens": "many"}, {"decode_s": "long"}),
    ],
)
def test_unknown_figures_are_none(usage: dict[str, Any], timings: dict[str, Any]) -> None:
    assert run_figures(Generation(usage=usage, timings=timings)).tokens_per_s is None


def test_examples_come_from_the_card(db: None) -> None:
    variant = make_variant(widget=[{"text": " Name three balances. ", "example_title": "List"}, {"text": 4}])
    assert [(each.title, each.prompt) for each in example_prompts(variant)] == [("List", "Name three balances.")]


def test_a_card_without_a_text_has_no_examples(variant: Variant) -> None:
    variant.card.current_revision = None
    assert example_prompts(variant) == ()
