"""Battles: who is drawn, what a vote keeps, what is refused, and what happens at once."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.arena.identity import find_identity
from portal.arena.models import Category, Contest, Outcome, Pairing, Pool, PoolEntry, VoidReason, Vote
from portal.arena.pairing import Entrant, draw_sides, pair_weights
from portal.arena.prompt_kinds import category_of, hardness_of, language_of, prompt_digest
from portal.arena.queries import pairs_of, turns_of
from portal.arena.services import begin_battle, retry_reply, send_turn, stop_contest
from portal.arena.style_counts import count_style
from portal.arena.voting import AlreadyVoted, vote_on_battle
from portal.catalog.models import Relation, Variant
from portal.playground.models import Conversation, Generation, State
from portal.playground.queries import list_conversations
from tests.arena.contests import finish, make_contest
from tests.playground.turns import make_variant


def models_pool() -> Pool:
    return Pool.objects.get(slug="models")


def begin(actor: Actor, prompt: str = "What is a steelyard, and who used it?") -> Contest:
    return begin_battle(actor, models_pool(), prompt=prompt, request_key=uuid.uuid4())


@pytest.fixture
def actor(alice: User) -> Actor:
    return Actor(user=alice, network="192.0.2.1")


def test_a_battle_sends_one_prompt_to_two_variants_of_different_cards(actor: Actor, variants: list[Variant]) -> None:
    make_variant("smol/lm2", "int4")
    contest = begin(actor)
    contenders = list(contest.contenders.select_related("variant"))
    assert len({contender.variant.card_id for contender in contenders}) == 2
    runs = Generation.objects.filter(reply__contender__contest=contest)
    assert {run.prompt for run in runs} == {"What is a steelyard, and who used it?"}
    assert {run.state for run in runs} == {State.QUEUED}
    assert len({run.params["max_tokens"] for run in runs}) == 1


def test_until_the_vote_the_runs_belong_to_nobody_who_could_look(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor)
    finish(contest, "One.", "Two.")
    assert not Conversation.objects.filter(actor.owns()).exists()
    vote_on_battle(actor, contest, Outcome.A)
    assert Conversation.objects.filter(actor.owns()).count() == 2
    assert not list_conversations(actor).exists()


def test_a_vote_keeps_what_the_ranking_needs(actor: Actor, variants: list[Variant], alice: User) -> None:
    prompt = "Write a short story about a balance, in exactly three sentences, without the word scale. Why three?"
    contest = begin(actor, prompt)
    finish(contest, "# Title\n\n- one\n- two\n\n**Bold** text", "Plain.")
    vote = vote_on_battle(actor, contest, Outcome.B)
    vote.refresh_from_db()
    left, right = contest.contenders.order_by("position")
    assert (vote.variant_a_id, vote.variant_b_id) == (left.variant_id, right.variant_id)
    assert (vote.language, vote.category, vote.hardness, vote.turns) == ("en", Category.WRITING, 1, 1)
    assert vote.style_a == {"characters": 35, "headers": 1, "lists": 2, "bold": 1}
    assert vote.style_b == {"characters": 6, "headers": 0, "lists": 0, "bold": 0}
    assert (vote.owner, vote.void_reason, vote.prompt_digest) == (alice, "", prompt_digest([prompt]))
    assert vote.is_ranked


def test_a_second_vote_is_told_and_changes_nothing(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor)
    finish(contest, "One.", "Two.")
    vote_on_battle(actor, contest, Outcome.TIE)
    with pytest.raises(AlreadyVoted):
        vote_on_battle(actor, contest, Outcome.A)
    assert [vote.outcome for vote in Vote.objects.all()] == [Outcome.TIE]


def test_there_is_no_vote_before_both_answers_are_there(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor)
    with pytest.raises(ValidationError, match="Both answers have to be there"):
        vote_on_battle(actor, contest, Outcome.A)
    finish(contest, "", "")
    with pytest.raises(ValidationError, match="nothing to compare"):
        vote_on_battle(actor, contest, Outcome.A)


def test_several_turns_go_to_both_and_are_voted_on_together(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor, "First question about balances?")
    with pytest.raises(ValidationError, match="still being written"):
        send_turn(actor, contest, prompt="Too early", request_key=uuid.uuid4())
    finish(contest, "One.", "Two.")
    key = uuid.uuid4()
    send_turn(actor, contest, prompt="And the second?", request_key=key)
    send_turn(actor, contest, prompt="And the second?", request_key=key)
    finish(contest, "Three.", "Four.")
    turns = turns_of(contest)
    assert [turn.prompt for turn in turns] == ["First question about balances?", "And the second?"]
    for reply in turns[1].replies:
        assert [message["role"] for message in reply.generation.messages] == ["user", "assistant", "user"]
    vote = vote_on_battle(actor, contest, Outcome.A)
    assert (vote.turns, vote.style_a["characters"]) == (2, len("One.\n\nThree."))
    with pytest.raises(ValidationError, match="seen the names"):
        send_turn(actor, contest, prompt="More", request_key=uuid.uuid4())


def test_one_form_sent_twice_begins_one_battle(actor: Actor, variants: list[Variant], bob: User) -> None:
    key = uuid.uuid4()
    first = begin_battle(actor, models_pool(), prompt="Hello", request_key=key)
    assert begin_battle(actor, models_pool(), prompt="Hello", request_key=key) == first
    with pytest.raises(ValidationError, match="used already"):
        begin_battle(Actor(user=bob), models_pool(), prompt="Hello", request_key=key)


def test_a_refused_prompt_leaves_nothing_behind(actor: Actor, variants: list[Variant]) -> None:
    with pytest.raises(ValidationError):
        begin(actor, "x" * 100_000)
    assert not Contest.objects.exists()
    assert not Conversation.objects.exists()


def test_one_battle_at_a_time(actor: Actor, variants: list[Variant]) -> None:
    first = begin(actor)
    with pytest.raises(LimitExceeded, match="still being answered"):
        begin(actor)
    assert Contest.objects.count() == 1
    stop_contest(first)
    begin(actor)


def test_battles_are_limited_for_each_person(actor: Actor, variants: list[Variant], settings: object) -> None:
    settings.BATTLE_RATE = "2/hour"  # type: ignore[attr-defined]
    for _each in range(2):
        stop_contest(begin(actor))
    with pytest.raises(LimitExceeded, match=r"more than 2 per hour\. Try again in 60 minutes\."):
        begin(actor)


def test_visitors_of_one_network_share_a_limit(db: None, variants: list[Variant], settings: object) -> None:
    settings.BATTLE_RATE = "1/hour"  # type: ignore[attr-defined]
    for _each in range(5):
        begin(Actor(visitor=uuid.uuid4(), network="192.0.2.9"))
    with pytest.raises(LimitExceeded):
        begin(Actor(visitor=uuid.uuid4(), network="192.0.2.9"))
    begin(Actor(visitor=uuid.uuid4(), network="192.0.2.10"))


def test_a_failed_side_is_tried_again_in_its_place(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor)
    finish(contest, "", "", state=State.FAILED, finish_reason="")
    with pytest.raises(ValidationError, match="missing"):
        vote_on_battle(actor, contest, Outcome.A)
    with pytest.raises(ValidationError, match="Try it again"):
        send_turn(actor, contest, prompt="On?", request_key=uuid.uuid4())
    for reply in turns_of(contest)[0].replies:
        retry_reply(actor, contest, reply, request_key=uuid.uuid4())
        with pytest.raises(ValidationError, match="already"):
            retry_reply(actor, contest, reply, request_key=uuid.uuid4())
    finish(contest, "One.", "Two.")
    assert vote_on_battle(actor, contest, Outcome.A).turns == 1


def test_a_pool_without_two_variants_begins_nothing(actor: Actor, db: None) -> None:
    make_variant()
    with pytest.raises(ValidationError, match="No two variants"):
        begin(actor)


def test_a_closed_pool_begins_nothing(actor: Actor, variants: list[Variant]) -> None:
    Pool.objects.update(is_open=False)
    with pytest.raises(ValidationError, match="No two variants"):
        begin(actor)


def test_a_blind_battle_names_nobody_who_cannot_go_on(actor: Actor, variants: list[Variant]) -> None:
    contest = begin(actor)
    finish(contest, "one", "two")
    Variant.objects.update(is_runnable=False)
    with pytest.raises(ValidationError) as refused:
        send_turn(actor, contest, prompt="And now?", request_key=uuid.uuid4())
    assert list(refused.value.message_dict) == ["prompt"]
    assert not any(variant.card.slug in str(refused.value) for variant in variants)


def test_pools_pair_what_they_are_for(variants: list[Variant]) -> None:
    bf16, other = variants
    int4 = make_variant("smol/lm2", "int4")
    stopped = make_variant("third/model", is_runnable=False)
    models, precisions = Pool.objects.order_by("position")
    assert set(pairs_of(models)) == {(bf16.pk, other.pk), (other.pk, int4.pk)}
    assert set(pairs_of(precisions)) == {(bf16.pk, int4.pk)}
    Variant.objects.filter(pk=int4.pk).update(relation=Relation.ADAPTER, base=bf16)
    assert pairs_of(precisions) == {}
    PoolEntry.objects.create(pool=models, variant=int4, weight=0)
    PoolEntry.objects.create(pool=models, variant=stopped, weight=5)
    assert set(pairs_of(models)) == {(bf16.pk, other.pk)}
    named = Pool.objects.create(slug="named", title="Named", pairing=Pairing.ANY)
    assert pairs_of(named) == {}
    for variant in (bf16, int4):
        PoolEntry.objects.create(pool=named, variant=variant, weight=2)
    assert pairs_of(named) == {(bf16.pk, int4.pk): 4.0}


def test_pairs_with_few_votes_are_drawn_more_often_and_sides_are_random() -> None:
    entrants = [Entrant(1, 1, 1.0), Entrant(2, 2, 1.0), Entrant(3, 3, 2.0)]
    weights = pair_weights(entrants, same_card=False, votes={(1, 2): 9})
    assert weights == {(1, 2): 0.1, (1, 3): 2.0, (2, 3): 2.0}
    source = random.Random(1)
    drawn = Counter(draw_sides(weights, source) for _each in range(4100))
    assert sum(drawn[pair] for pair in ((1, 2), (2, 1))) == pytest.approx(100, abs=40)
    assert drawn[(1, 3)] == pytest.approx(drawn[(3, 1)], rel=0.15)
    with pytest.raises(ValueError, match="no two variants"):
        draw_sides({})


NAMES = ["HuggingFaceTB", "SmolLM2-135M-Instruct", "SmolLM2 135M Instruct"]


@pytest.mark.parametrize(
    ("prompt", "answers", "reason"),
    [
        ("Who are you?", ["A model."], VoidReason.IDENTITY_ASKED),
        ("Which model are you, exactly?", ["Hm."], VoidReason.IDENTITY_ASKED),
        ("Wer bist du?", ["Ein Modell."], VoidReason.IDENTITY_ASKED),
        ("Tell me a joke.", ["I am SmolLM, nice to meet you."], VoidReason.NAME_IN_ANSWER),
        ("Tell me a joke.", ["Hi.", "As smollm2 I know none."], VoidReason.NAME_IN_ANSWER),
        ("Tell me a joke.", ["I was trained by Hugging Face."], VoidReason.NAME_IN_ANSWER),
        ("Tell me a joke.", ["My name is Balance."], VoidReason.NAME_IN_ANSWER),
        ("Tell me a joke.", ["That was the Steelhouse speaking."], VoidReason.NAME_IN_ANSWER),
        ("How small is SmolLM2?", ["SmolLM2 has 135 million parameters."], None),
        ("Tell me a joke.", ["An instruct walks into a bar. It is a small model."], None),
        ("Who are your favourite painters, and what is a language model?", ["Vermeer."], None),
    ],
)
def test_what_gives_a_name_away_is_told(prompt: str, answers: list[str], reason: VoidReason | None) -> None:
    assert find_identity([prompt], answers, NAMES, ["Steelhouse"]) == reason


def test_a_battle_that_gave_a_name_away_is_kept_and_not_ranked(actor: Actor, variants: list[Variant]) -> None:
    Pool.objects.update(identity_words="Balancer")
    contest = begin(actor)
    finish(contest, "I, the Balancer, say so.", "Two.")
    vote = vote_on_battle(actor, contest, Outcome.A)
    assert (vote.void_reason, vote.is_ranked) == (VoidReason.NAME_IN_ANSWER, False)


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("Fix this: ```py\nprint(1)\n```", Category.CODE),
        ("Write a Python function that reverses a list", Category.CODE),
        ("What is 17 * 23?", Category.MATHS),
        ("Beweise, dass es unendlich viele Primzahlen gibt", Category.MATHS),
        ("Write a poem about two numbers, how many lines you like", Category.WRITING),
        ("Schreib ein Gedicht über den Herbst", Category.WRITING),
        ("Why is the sky blue?", Category.OTHER),
    ],
)
def test_prompts_have_a_category(prompt: str, category: Category) -> None:
    assert category_of([prompt]) == category


def test_prompts_have_a_hardness_and_a_language() -> None:
    assert hardness_of(["Why?"]) == 0
    assert hardness_of(["Solve 3 * x = 12? And why? It must be exactly one line."]) == 3
    assert language_of(["Warum ist der Himmel am Abend so rot?"]) == "de"
    assert language_of(["ok"]) == "und"


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_a_kind_and_a_style(text: str) -> None:
    assert category_of([text]) in Category
    assert 0 <= hardness_of([text]) <= 4
    assert count_style(text)["characters"] == len(text)
    assert prompt_digest([text]) == prompt_digest([f"  {text} "])


@pytest.mark.parametrize(
    "piece", ["write ", "select ", "```\n", "~~~\n", "** ", "**", "__a ", "\n\n", " \n", "i am a ", "1 "]
)
def test_no_text_keeps_the_rules_busy(piece: str) -> None:
    text = piece * (32_000 // len(piece))
    started = time.thread_time()
    hardness_of([text])
    count_style(text)
    find_identity([text], [text], NAMES)
    assert time.thread_time() - started < 2


def test_code_is_no_style() -> None:
    assert count_style("```\n# no header\n- no item\n**not bold**\n```\n1. item\n") == {
        "characters": 51,
        "headers": 0,
        "lists": 1,
        "bold": 0,
    }


def test_a_battle_made_by_hand_reads_like_one_that_was_begun(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    assert [reply.contender.letter for reply in turns_of(contest)[0].replies] == ["A", "B"]
