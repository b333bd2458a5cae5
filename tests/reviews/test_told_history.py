"""The history in a person's words: labels for codes, commas for lists, and never a program's notation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.reviews.models import Event
from portal.reviews.queries.told_history import ACTIONS, thing_name, told_changes
from portal.reviews.told_values import plain_words, told_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc ", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def told(target: str, action: str, **changes: Any) -> list[tuple[str, str]]:
    return [(each.label, each.words) for each in told_changes(Event(target=target, action=action, changes=changes))]


@pytest.mark.parametrize(
    ("target", "action", "changes", "expected"),
    [
        (
            "reviews.reviewitem",
            "state",
            {"before": "waiting", "after": "decided", "outcome": "reject", "reason": "unclear"},
            [
                ("State", "Waiting for reviewers → Decided"),
                ("Outcome", "Reject"),
                ("Reason", "Not understandable"),
            ],
        ),
        (
            "reviews.reviewitem",
            "entered",
            {"rule": "flagged", "policy": 1, "signs": ["copy", "flood"]},
            [
                ("Rule", "Flagged"),
                ("Version of the rules", "1"),
                ("Signs of abuse", "The same text was given before, Many from one person in a short time"),
            ],
        ),
        ("reviews.reviewitem", "reopened", {"reviews": [4, 9]}, [("Verdicts set aside", "2")]),
        (
            "reviews.queuepolicy",
            "changed",
            {"enter_all": ["True", "False"], "needed_reviews": ["2", "3"]},
            [("Everything enters", "yes → no"), ("Independent reviewers per item", "2 → 3")],
        ),
        (
            "catalog.variant",
            "changed",
            {"defaults.temperature": ["None", "0.2"], "card_id": ["1", "2"]},
            [("Default sampling parameters, temperature", "nothing → 0.2"), ("Card", "1 → 2")],
        ),
        # As earlier versions kept a list.
        (
            "feedback.question",
            "changed",
            {"options.choices": ["[{'key': 'a'}]", "[]"]},
            [("Options, choices", "key: a → nothing")],
        ),
        (
            "reviews.block",
            "blocked",
            {"reason": "Spam", "until": "2026-11-28 10:02:03.5+00:00"},
            [("Reason", "Spam"), ("Until", "2026-11-28 10:02 UTC")],
        ),
        # Named as a verdict's `kind` is; and what somebody wrote is no program's notation.
        (
            "feedback.question",
            "changed",
            {"kind": ["thumb", "text"], "label": ["None", "True"], "help": ["[1, 2]", ""]},
            [("Kind", "Thumb → Free text"), ("Label", "None → True"), ("Help", "[1, 2] → nothing")],
        ),
        ("catalog.modelcard", "deleted", {"name": "None"}, [("Name", "None")]),
        ("gone.model", "changed", {"some_column": ["a", "b"]}, [("Some column", "a → b")]),
        ("reviews.reviewitem", "entered", {"signs": [], "rule": ""}, []),
    ],
)
def test_an_entry_is_told_in_words(
    target: str, action: str, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert told(target, action, **changes) == expected


@given(JSON)
def test_what_is_kept_and_what_is_told_hold_no_programs_notation(value: object) -> None:
    for words in (plain_words(value), told_value(value), told_value(str(value))):
        assert not set(words) & set("[]{}'\""), words


@given(st.text(max_size=40))
@example("{1, 5}")
@example("{...}")
@example("[{1}]")
@example("{{1}}")
@example("{[]}")
def test_any_text_is_told(text: str) -> None:
    assert isinstance(told_value(text), str)
    assert isinstance(told("feedback.question", "changed", **{"options.x": [text, "a"]}), list)
    assert isinstance(told("reviews.limitation", "changed", title=[text, text + "."]), list)


def test_things_have_names_also_when_they_are_no_more() -> None:
    assert thing_name("reviews.reviewitem") == "Review item"
    assert thing_name("gone.model") == "gone.model"
    assert str(ACTIONS["verdict"]) == "Verdict given"
