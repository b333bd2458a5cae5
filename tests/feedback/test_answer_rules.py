"""Every kind of question: what it accepts comes back the same, and what it refuses is named with its limit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.feedback.answer_rules import AnswersInvalid, is_answered, shown_questions, validate_answers
from portal.feedback.answer_values import JudgedText
from portal.feedback.models import Answer, Question, QuestionKind, Submission
from portal.feedback.question_options import FIELDS_OF_KIND, fields_of, options_of

OUTPUT = "Ein Laufgewicht 🐟 wiegt\r\nmit zwei Armen: ein Laufgewicht."
TOKENS = [
    {"id": 7, "text": "Ein", "top": [{"id": 7, "text": "Ein"}, {"id": 9, "text": "Das"}]},
    {"id": 8, "text": " Lauf", "top": [{"id": 8, "text": " Lauf"}, {"id": 3, "text": " Gegen"}]},
    {"id": 5, "text": "gewicht", "top": []},
]
JUDGED = JudgedText(OUTPUT, TOKENS)
ABC = {"choices": [{"key": key, "label": key.upper()} for key in "abc"]}
OPTIONS: dict[QuestionKind, dict[str, Any]] = {
    QuestionKind.THUMB: {"choices": [{"key": "up", "label": "Good"}, {"key": "down", "label": "Bad"}]},
    QuestionKind.YES_NO: {},
    QuestionKind.RATING: {"min": -2, "max": 2, "anchors": {"0": "So so"}},
    QuestionKind.CHOICE: ABC,
    QuestionKind.CHOICES: {**ABC, "most": 2},
    QuestionKind.RANKING: {**ABC, "ties": True},
    QuestionKind.TEXT: {"max_characters": 12},
    QuestionKind.NUMBER: {"min": -3, "max": 1_000, "decimals": 2, "unit": "GB"},
    QuestionKind.DATE: {"min": "2026-01-01", "max": "2026-12-31"},
    QuestionKind.SPANS: ABC,
    QuestionKind.CORRECTION: {"max_characters": 80},
    QuestionKind.TOKEN: {},
    QuestionKind.MATRIX: {"rows": ABC["choices"], "columns": ABC["choices"], "whole": False},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-20, 2_000) | st.floats() | st.text(max_size=20) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcxy"), inner, max_size=3),
    max_leaves=6,
)


def spans() -> st.SearchStrategy[Any]:
    places = st.tuples(st.integers(0, len(OUTPUT)), st.integers(0, len(OUTPUT))).map(sorted)
    return st.lists(
        st.builds(
            lambda place, label, note: {"start": place[0], "end": place[1], "label": label, "note": note},
            places.filter(lambda place: place[0] < place[1]),
            st.sampled_from("abc"),
            st.text("xyz ", max_size=5),
        ),
        max_size=3,
    )


def rankings() -> st.SearchStrategy[Any]:
    def grouped(order: list[str], cuts: set[int]) -> list[list[str]]:
        ends = [*sorted(cuts), len(order)]
        return [order[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    return st.builds(grouped, st.permutations("abc"), st.sets(st.sampled_from([1, 2])))


GOOD: dict[QuestionKind, st.SearchStrategy[Any]] = {
    QuestionKind.THUMB: st.sampled_from(["up", "down"]),
    QuestionKind.YES_NO: st.sampled_from(["yes", "no"]),
    QuestionKind.RATING: st.integers(-2, 2),
    QuestionKind.CHOICE: st.sampled_from("abc"),
    QuestionKind.CHOICES: st.lists(st.sampled_from("abc"), unique=True, max_size=2),
    QuestionKind.RANKING: rankings(),
    QuestionKind.TEXT: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    QuestionKind.NUMBER: st.decimals(-3, 1_000, places=2).map(float),
    QuestionKind.DATE: st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat),
    QuestionKind.SPANS: spans(),
    QuestionKind.CORRECTION: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80),
    QuestionKind.TOKEN: st.sampled_from([[], [{"index": 0, "alternative": 9}], [{"index": 1, "alternative": 3}]]),
    QuestionKind.MATRIX: st.dictionaries(st.sampled_from("abc"), st.sampled_from("abc")),
}
KINDS = st.sampled_from(QuestionKind.values).map(QuestionKind)


def question(kind: QuestionKind, key: str = "q", **columns: Any) -> Question:
    return Question(key=key, kind=kind, label="Q", options=OPTIONS[kind], **columns)


def accepted(asked: Question, value: Any) -> Any:
    answers = validate_answers([asked], {asked.key: value}, JUDGED)
    return answers[0][1] if answers else None


def refusal(asked: Question, value: Any) -> str:
    with pytest.raises(AnswersInvalid) as refused:
        validate_answers([asked], {asked.key: value}, JUDGED)
    assert list(refused.value.message_dict) == [asked.key]
    return " ".join(refused.value.message_dict[asked.key])


@settings(max_examples=300)
@given(kind=KINDS, data=st.data())
def test_what_is_accepted_is_stored_comes_back_the_same_and_is_accepted_again(
    kind: QuestionKind, data: st.DataObject
) -> None:
    asked = question(kind)
    value = accepted(asked, data.draw(GOOD[kind]))
    if not is_answered(value):
        return
    stored = Answer.of(Submission(), asked, value)
    assert stored.value == value
    assert accepted(asked, stored.value) == value


@settings(max_examples=300)
@given(kind=KINDS, value=ANYTHING)
def test_anything_is_either_accepted_or_refused_by_the_name_of_its_question(kind: QuestionKind, value: Any) -> None:
    asked = question(kind)
    try:
        validate_answers([asked], {"q": value}, JUDGED)
    except AnswersInvalid as error:
        refused = list(error.message_dict)
    else:
        refused = ["q"]
    assert refused == ["q"]


@settings(max_examples=60)
@given(kind=KINDS)
def test_the_editors_fields_make_the_same_options_again(kind: QuestionKind) -> None:
    asked = question(kind)
    fields = fields_of(asked)
    assert options_of(kind, fields) == asked.options
    assert set(FIELDS_OF_KIND[kind]) <= set(fields)


@settings(max_examples=100)
@given(marks=spans())
def test_a_mark_keeps_the_words_at_its_code_points(marks: list[dict[str, Any]]) -> None:
    for mark in accepted(question(QuestionKind.SPANS), marks) or ():
        assert OUTPUT[mark["start"] : mark["end"]] == mark["quote"]


@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        (QuestionKind.THUMB, "sideways", "up, down"),
        (QuestionKind.YES_NO, True, "yes, no"),
        (QuestionKind.RATING, 3, "from -2 to 2"),
        (QuestionKind.RATING, True, "whole number"),
        (QuestionKind.CHOICES, ["a", "b", "c"], "at most 2; these are 3"),
        (QuestionKind.CHOICES, ["a", "a"], "at most once"),
        (QuestionKind.RANKING, [["a"], ["a", "b"]], "each of these once: a, b, c"),
        (QuestionKind.RANKING, [["a"], ["z"]], "each of these once: a, b, c"),
        (QuestionKind.TEXT, "x" * 13, "at most 12 characters; this has 13"),
        (QuestionKind.TEXT, "a\0b", "NUL"),
        (QuestionKind.NUMBER, 1_000.01, "from -3 to 1000"),
        (QuestionKind.NUMBER, 0.125, "at most 2 digits"),
        (QuestionKind.NUMBER, float("nan"), "number"),
        (QuestionKind.DATE, "2027-01-01", "after 2026-12-31"),
        (QuestionKind.DATE, "31.12.2026", "2026-01-31"),
        (QuestionKind.SPANS, [{"start": 0, "end": len(OUTPUT) + 1, "label": "a"}], f"≤ {len(OUTPUT)}"),
        (QuestionKind.SPANS, [{"start": 0, "end": 3, "quote": "Der", "label": "a"}], "not the quoted text"),
        (QuestionKind.SPANS, [{"quote": "Laufgewicht", "label": "a"}], "more than once"),
        (QuestionKind.SPANS, [{"quote": "Wasserwaage", "label": "a"}], "does not have the quoted words"),
        (QuestionKind.SPANS, [{"start": 0, "end": 3, "label": "z"}], "a, b, c"),
        (QuestionKind.CORRECTION, "x" * 81, "at most 80"),
        (QuestionKind.TOKEN, [{"index": 3, "alternative": 1}], "from 0 to 2"),
        (QuestionKind.TOKEN, [{"index": 0, "alternative": 7}], "are: 9"),
        (QuestionKind.TOKEN, [{"index": 2, "alternative": 9}], "are: none"),
        (QuestionKind.MATRIX, {"z": "a"}, "rows: a, b, c"),
        (QuestionKind.MATRIX, {"a": "z"}, "one of: a, b, c"),
    ],
)
def test_a_refusal_names_the_limit(kind: QuestionKind, value: Any, named: str) -> None:
    assert named in refusal(question(kind), value)


def test_what_was_left_out_of_a_list_is_named_as_the_person_read_it() -> None:
    asked = Question(
        key="q",
        kind=QuestionKind.RANKING,
        label="Q",
        options={"choices": [{"key": key, "label": f"The {key}"} for key in "abc"]},
        translations={"de": {"choices.c": "Das C"}},
    )
    assert refusal(asked, [["b"]]).endswith("these have none yet: The a, The c.")
    with translation.override("de"):
        assert refusal(asked, [["b"]]).endswith("The a, Das C.")
    rows = Question(key="q", kind=QuestionKind.MATRIX, label="Q", options={**asked.options, "whole": True})
    rows.options |= {"rows": rows.options["choices"], "columns": rows.options["choices"]}
    assert refusal(rows, {"b": "a"}) == "Every row needs an answer; these have none: The a, The c."


def test_a_quote_without_its_place_is_found_where_it_stands_once() -> None:
    asked = question(QuestionKind.SPANS)
    (mark,) = accepted(asked, [{"quote": "🐟 wiegt", "label": "b"}])
    assert (mark["start"], mark["end"]) == (16, 23)


def test_an_unchanged_answer_is_no_correction() -> None:
    asked = question(QuestionKind.CORRECTION)
    assert accepted(asked, OUTPUT) is None
    assert accepted(asked, OUTPUT.replace("\r\n", "\n")) is None
    assert accepted(asked, "Ein Gegengewicht.") == "Ein Gegengewicht."


def test_a_question_on_an_answer_is_refused_where_there_is_none() -> None:
    with pytest.raises(AnswersInvalid, match="no answer of a model"):
        validate_answers([question(QuestionKind.CORRECTION)], {"q": "Better."})


def test_what_depends_on_a_hidden_question_is_hidden_too() -> None:
    first = question(QuestionKind.YES_NO, "first")
    second = question(QuestionKind.CHOICES, "second", show_if={"key": "first", "equals": "yes"})
    third = question(QuestionKind.TEXT, "third", show_if={"key": "second", "equals": "b"}, is_required=True)
    chain = [first, second, third]
    assert shown_questions(chain, {"first": "yes", "second": ["a", "b"]}) == chain
    assert shown_questions(chain, {"first": "no", "second": ["b"]}) == [first]
    assert validate_answers(chain, {"first": "no"})
    with pytest.raises(AnswersInvalid) as refused:
        validate_answers(chain, {"first": "no", "second": ["b"], "third": "x"})
    assert set(refused.value.message_dict) == {"second", "third"}
    with pytest.raises(AnswersInvalid) as missing:
        validate_answers(chain, {"first": "yes", "second": ["b"]})
    assert set(missing.value.message_dict) == {"third"}


def test_a_draft_may_lack_what_is_required_but_not_be_wrong() -> None:
    asked = question(QuestionKind.RATING, is_required=True)
    assert validate_answers([asked], {}, is_complete=False) == []
    with pytest.raises(AnswersInvalid):
        validate_answers([asked], {"q": 9}, is_complete=False)


def test_half_a_ranking_or_matrix_is_an_answer_of_a_draft_alone_and_no_wrong_one() -> None:
    two = [{"key": key, "label": key} for key in ("a", "b")]
    ranking = Question(key="q", kind=QuestionKind.RANKING, label="q", options={"choices": two, "ties": False})
    options = {"rows": two, "columns": [{"key": "x", "label": "x"}], "whole": True}
    matrix = Question(key="q", kind=QuestionKind.MATRIX, label="q", options=options)
    for asked, half, wrong in ((ranking, [["b"]], [["c"]]), (matrix, {"b": "x"}, {"b": "y"})):
        drafted = validate_answers([asked], {"q": half}, is_complete=False, is_half_done=True)
        assert [value for _question, value in drafted] == [half]
        with pytest.raises(AnswersInvalid):
            validate_answers([asked], {"q": half}, is_complete=False)
        with pytest.raises(AnswersInvalid):
            validate_answers([asked], {"q": wrong}, is_complete=False, is_half_done=True)
    with pytest.raises(AnswersInvalid, match="no ties here"):
        validate_answers([ranking], {"q": [["a", "b"]]}, is_complete=False, is_half_done=True)
