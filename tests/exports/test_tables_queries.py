"""Which rows each export table has of real submissions, votes and conversations, and what it refuses."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Outcome, VoidReason
from portal.arena.review_states import ReviewState as VoteReviewState
from portal.exports.criteria import PARAMETERS, Criteria, InvalidCriterion
from portal.exports.formats import FORMATS
from portal.exports.models import HeldOutPrompt, prompt_digest
from portal.exports.tables import TABLES
from portal.feedback import token_choice
from portal.feedback.models import Consent, Questionnaire, ReviewState, Submission
from portal.feedback.queries import answer_questionnaire
from portal.feedback.services import submit_report
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.models import Conversation, Generation, Kind
from tests.arena.contests import compare, make_contest, make_vote
from tests.feedback.judgements import branch_from, judge, make_generation, make_variant
from tests.playground.turns import add_turn
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


def read(table: str, **texts: str) -> list[dict[str, Any]]:
    return [row for chunk in TABLES[table].plan(Criteria.from_texts(texts)).chunks for row in chunk]


def corrected(owner: User, correction: str, **answers: Any) -> Submission:
    return judge(owner, correction=correction, **answers)


def judged_turns(owner: User, *prompts: str, judged: tuple[int, ...]) -> Conversation:
    """A conversation of these prompts, of which the turns at `judged` got a thumb."""
    conversation = Conversation.objects.create(owner=owner)
    variant = make_variant()
    parent: Generation | None = None
    for place, prompt in enumerate(prompts):
        turn = add_turn(conversation, variant, parent, prompt=prompt, output=f"Answer {place}.")
        if parent is not None:
            turn.messages = [
                *parent.messages,
                {"role": "assistant", "content": parent.output},
                {"role": "user", "content": prompt},
            ]
            turn.save()
        if place in judged:
            judge(owner, turn)
        parent = turn
    return conversation


def prefer(owner: User, branch: Generation, better: str) -> Submission:
    asked = Questionnaire.objects.get(slug=token_choice.SLUG, is_current=True)
    return submit_report(Actor(user=owner), branch, asked, {"better": better})


def test_every_row_has_exactly_its_tables_columns(alice: User, bob: User, reviewer: User, maintainer: User) -> None:
    given = judge(alice, helpfulness=4, reasons_up=["clear"], comment="Yes.")
    for person in (reviewer, maintainer):
        give_verdict(person, item_of(given))
    corrected(bob, "It is a balance.")
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    for table in TABLES.values():
        texts = {"questionnaire": answer_questionnaire().slug} if table.name == "submissions_wide" else {}
        plan = table.plan(Criteria.from_texts(texts))
        rows = [row for chunk in plan.chunks for row in chunk]
        assert rows, table.name
        for row in rows:
            assert tuple(row) == plan.schema.names, table.name


def test_every_table_can_be_written_in_every_format(alice: User, reviewer: User, maintainer: User) -> None:
    given = judge(alice, helpfulness=4, comment="Yes.")
    for person in (reviewer, maintainer):
        give_verdict(person, item_of(given))
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    for table in TABLES.values():
        for form in FORMATS.values():
            texts = {"questionnaire": answer_questionnaire().slug} if table.name == "submissions_wide" else {}
            plan = table.plan(Criteria.from_texts(texts))
            assert b"".join(piece for piece, _rows in plan.pieces(form))


def test_answers_are_a_row_per_question_and_wide_a_column(alice: User) -> None:
    given = judge(alice, helpfulness=4, comment="Yes.")
    rows = {row["question"]: row for row in read("answers")}
    assert {row["submission"] for row in rows.values()} == {str(given.pk)}
    assert (rows["helpfulness"]["number"], rows["helpfulness"]["text"]) == (4, None)
    assert (rows["comment"]["text"], rows["thumb"]["value"]) == ("Yes.", "up")
    (wide,) = read("submissions_wide", questionnaire=given.questionnaire_slug)
    assert (wide["answer_helpfulness"], wide["answer_comment"], wide["answer_reasons_down"]) == (4, "Yes.", None)


def test_what_was_withdrawn_or_not_to_be_published_is_in_no_table(alice: User, bob: User) -> None:
    gone, private = judge(alice), judge(bob)
    assert gone.generation is not None
    withdraw_feedback(Actor(user=alice), gone.generation)
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    for name in TABLES:
        assert read(name, **({"questionnaire": private.questionnaire_slug} if name == "submissions_wide" else {})) == []


@pytest.mark.parametrize(
    ("outcome", "winner"),
    [
        (Outcome.A, "model_a"),
        (Outcome.B, "model_b"),
        (Outcome.TIE, "tie"),
        (Outcome.BOTH_BAD, "tie (bothbad)"),
    ],
)
def test_a_comparison_reads_as_an_arena_row(alice: User, outcome: Outcome, winner: str) -> None:
    vote = make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])), outcome)
    (row,) = read("comparisons")
    assert (row["model_a"], row["model_b"], row["winner"]) == ("smol/lm2:bf16", "smol/lm2:int8", winner)
    assert row["conversation_a"][-1] == {"role": "assistant", "content": "Answer A."}
    assert row["tstamp"] == vote.created_at.timestamp()
    assert (row["turn"], row["anony"]) == (1, True)


def test_a_comparison_outlives_its_texts(alice: User) -> None:
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    Conversation.objects.all().delete()
    (row,) = read("comparisons")
    assert (row["conversation_a"], row["params_a"], row["winner"]) == (None, None, "model_a")


def test_a_conversation_is_the_tree_of_what_was_judged(alice: User) -> None:
    conversation = judged_turns(alice, "One?", "Two?", "Three?", judged=(1, 2))
    judged_turns(alice, "Untouched?", judged=())
    (row,) = read("conversations")
    assert row["conversation"] == str(conversation.pk)
    nodes = row["generations"]
    assert [node["prompt"] for node in nodes] == ["Two?", "Three?"]
    assert [node["parent"] for node in nodes] == [None, nodes[0]["id"]]


# --- Training


def test_thumbs_become_kto_rows_and_the_good_one_an_sft_row(alice: User, bob: User) -> None:
    good, bad = judge(alice), judge(bob, make_generation(bob, output="A ship."), thumb="down")
    assert [(row["completion"][0]["content"], row["label"], row["submissions"]) for row in read("kto")] == [
        ("A balance with two arms.", True, [str(good.pk)]),
        ("A ship.", False, [str(bad.pk)]),
    ]
    (sft,) = read("sft")
    assert [message["role"] for message in sft["messages"]] == ["user", "assistant"]
    assert read("dpo") == []


def test_a_correction_becomes_a_pair_whose_chosen_side_no_model_wrote(alice: User) -> None:
    given = corrected(alice, "It is a balance.", thumb="down")
    (row,) = read("dpo")
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == (
        "It is a balance.",
        "A balance with two arms.",
    )
    assert (row["model_chosen"], row["model_rejected"]) == (None, "smol/lm2:bf16")
    assert (row["origin"], row["submissions"]) == ("correction", [str(given.pk)])
    (reward,) = read("reward")
    assert reward["chosen"] == [*row["prompt"], *row["chosen"]]


def test_two_answers_to_one_chat_that_one_person_judged_differently_are_a_pair(alice: User) -> None:
    conversation = Conversation.objects.create(owner=alice)
    up = add_turn(conversation, make_variant(), output="Good.")
    down = add_turn(conversation, make_variant(), output="Bad.")
    other = add_turn(conversation, make_variant(), prompt="Something else?", output="Worse.")
    given = [judge(alice, up), judge(alice, down, thumb="down")]
    judge(alice, other, thumb="down")
    (row,) = read("dpo")
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"], row["origin"]) == ("Good.", "Bad.", "siblings")
    assert row["submissions"] == [str(each.pk) for each in given]


@pytest.mark.parametrize(
    ("outcome", "labels", "pairs"),
    [(Outcome.B, [False, True], 1), (Outcome.TIE, [True, True], 0), (Outcome.BOTH_BAD, [False, False], 0)],
)
def test_a_vote_is_two_kto_rows_and_a_pair_only_when_one_side_won(
    alice: User, outcome: Outcome, labels: list[bool], pairs: int
) -> None:
    vote = make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])), outcome)
    rows = read("kto")
    assert [row["label"] for row in rows] == labels
    assert {row["vote"] for row in rows} == {str(vote.pk)}
    assert len(read("dpo")) == pairs


def test_void_and_rejected_votes_train_nothing(alice: User, bob: User) -> None:
    variants = [make_variant(), make_variant(slug="int8")]
    make_vote(compare(make_contest(alice, variants)), void_reason=VoidReason.NAME_IN_ANSWER)
    make_vote(compare(make_contest(bob, variants)), review_state=VoteReviewState.REJECTED)
    assert read("kto") == []


@pytest.mark.parametrize("state", [ReviewState.REJECTED, ReviewState.SPAM, ReviewState.DUPLICATE])
def test_what_reviewers_refused_trains_nothing_unless_asked_for(alice: User, state: ReviewState) -> None:
    given = judge(alice)
    Submission.objects.filter(pk=given.pk).update(review_state=state)
    assert read("kto") == []
    assert len(read("kto", review_state=state.value)) == 1
    assert len(read("submissions")) == 1


def test_a_held_out_prompt_is_in_no_training_table_however_it_is_written(alice: User) -> None:
    HeldOutPrompt.objects.create(digest=prompt_digest("what  is a STEELYARD?\n"))
    corrected(alice, "It is a balance.")
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")], prompt="What is a steelyard?")))
    for table in TABLES.values():
        if table.is_training:
            assert read(table.name) == [], table.name
    assert len(read("feedback")) == 1


def test_a_later_turn_trains_only_when_every_turn_before_was_given(alice: User, bob: User) -> None:
    judged_turns(alice, "One?", "Two?", judged=(1,))
    assert read("kto") == []
    judged_turns(bob, "One?", "Two?", judged=(0, 1))
    assert [len(row["prompt"]) for row in read("kto")] == [1, 3]


def test_a_system_prompt_is_not_shared_so_that_its_run_trains_nothing(alice: User) -> None:
    generation = make_generation(alice)
    generation.messages = [{"role": "system", "content": "Be a pirate."}, *generation.messages]
    generation.save()
    judge(alice, generation)
    assert read("kto") == []


@pytest.mark.parametrize(("better", "chosen"), [("branch", "Two."), ("original", "One."), ("tie", None)])
def test_a_version_from_another_token_and_the_one_before_are_a_pair(
    alice: User, better: str, chosen: str | None
) -> None:
    run = make_generation(alice, output="One.")
    said = prefer(alice, branch_from(run, output="Two."), better)
    expected = [] if chosen is None else [(chosen, "One." if chosen == "Two." else "Two.", "token_choice")]
    model = run.variant.model_id
    rows = read("dpo")
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"], row["origin"]) for row in rows] == expected
    assert [(row["submissions"], row["model_chosen"], row["model_rejected"]) for row in rows] == [
        ([str(said.pk)], model, model) for _pair in expected
    ]
    labels = {row["completion"][0]["content"]: row["label"] for row in read("kto")}
    assert labels == {"Two.": better in {"branch", "tie"}, "One.": better in {"original", "tie"}}


def test_a_choice_of_version_makes_no_pair_that_may_not_be_published_or_has_lost_a_side(alice: User) -> None:
    private = prefer(alice, branch_from(make_generation(alice), output="Two."), "branch")
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    lost = prefer(alice, branch_from(make_generation(alice), output="Two."), "branch")
    Generation.objects.filter(pk=lost.generation_id).update(branched_from=None)
    rejected = prefer(alice, branch_from(make_generation(alice), output="Two."), "branch")
    rejected.move_review([ReviewState.UNREVIEWED], ReviewState.REJECTED)
    assert read("dpo") == read("kto") == []


def test_a_raw_completion_is_no_chat_so_that_it_trains_nothing(alice: User) -> None:
    judge(alice, make_generation(alice, prompt="Once upon a time", kind=Kind.COMPLETION))
    assert read("kto") == []
    assert len(read("feedback")) == 1


# --- Filters


def test_filters_select_and_one_that_does_not_apply_is_refused_by_name(alice: User) -> None:
    judge(alice)
    assert len(read("submissions", language="en")) + len(read("submissions", language="de")) <= 1
    assert read("submissions", review_state="accepted,rejected") == []
    assert len(read("submissions", review_state="unreviewed")) == 1
    assert read("submissions", licence="CC0-1.0-nobody-chose") == []
    for table, texts in (("comparisons", {"thumb": "up"}), ("comparisons", {"campaign": "none"})):
        with pytest.raises(InvalidCriterion, match=next(iter(texts))):
            read(table, **texts)
    for parameter, text in (
        ("campaign", "none"),
        ("questionnaire", "a b"),
        ("language", "english"),
        ("licence", ""),
        ("review_state", "accepted,perhaps"),
    ):
        with pytest.raises(InvalidCriterion, match=parameter):
            read("submissions", **{parameter: text})


def test_wide_needs_a_questionnaire_that_exists(alice: User) -> None:
    for texts in ({}, {"questionnaire": "none"}):
        with pytest.raises(InvalidCriterion, match="questionnaire"):
            read("submissions_wide", **texts)


def test_criteria_read_back_from_their_texts() -> None:
    texts = {"card": "smol/lm2", "since": "2026-01-31", "review_state": "accepted,spam", "rating_min": "2"}
    criteria = Criteria.from_texts(texts)
    assert Criteria.from_texts(criteria.as_texts()) == criteria
    assert criteria.given() == set(texts)
    assert set(TABLES["submissions"].filters) <= set(PARAMETERS)


@pytest.mark.parametrize("name", [name for name in TABLES if name != "submissions_wide"])
def test_the_number_of_queries_does_not_grow_with_the_rows(name: str, alice: User, visitor: uuid.UUID) -> None:
    variants = [make_variant(), make_variant(slug="int8")]

    def fill(count: int) -> int:
        for number in range(count):
            judge(alice, make_generation(alice, output=f"{number}"))
            make_vote(compare(make_contest(alice, variants)))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(read(name)) >= 1 or name in {"dpo", "reward", "reviews"}
        return len(queries)

    assert fill(2) == fill(5)


def test_a_line_of_json_is_the_row(alice: User) -> None:
    judge(alice)
    pieces = TABLES["kto"].plan(Criteria()).pieces(FORMATS["jsonl"])
    text = b"".join(piece for piece, _rows in pieces)
    assert [json.loads(line) for line in io.BytesIO(text)] == read("kto")


def test_a_questionnaires_versions_share_their_columns(alice: User) -> None:
    given = judge(alice, helpfulness=4)
    current = given.questionnaire
    later = Questionnaire.objects.create(
        slug=current.slug, version=99, title="Later", published_at=current.published_at
    )
    later.questions.create(key="helpfulness", kind="text", label="In words")
    later.questions.create(key="late", kind="number", label="A number")
    (row,) = read("submissions_wide", questionnaire=current.slug)
    assert (row["answer_helpfulness"], row["answer_late"]) == (4, None)
