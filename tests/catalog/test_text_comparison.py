"""Comparing two texts: what went and what came, by words and by fields, and nothing invented."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from portal.catalog.text_comparison import FieldChange, Segment, compare_cards, compare_fields, compare_texts


def test_a_changed_word_is_one_word() -> None:
    assert compare_texts("Trained on cats for a day.\n", "Trained on dogs for a day.\n") == [
        Segment("same", "Trained on "),
        Segment("removed", "cats"),
        Segment("added", "dogs"),
        Segment("same", " for a day.\n"),
    ]


def test_lines_far_from_a_change_are_left_out() -> None:
    lines = [f"Line {number}" for number in range(20)]
    changed = [*lines[:10], "New", *lines[10:]]
    assert compare_texts("\n".join(lines), "\n".join(changed)) == [
        Segment("gap", lines=8),
        Segment("same", "Line 8\nLine 9\n"),
        Segment("added", "New\n"),
        Segment("same", "Line 10\nLine 11\n"),
        Segment("gap", lines=8),
    ]


def test_texts_that_share_nothing_are_not_cut_into_crumbs() -> None:
    old, new = "Alpha beta gamma delta\n", "One: two; three, four!\n"
    assert compare_texts(old, new) == [Segment("removed", old), Segment("added", new)]


def test_equal_texts_and_other_line_ends_show_nothing() -> None:
    assert compare_texts("a\nb\n", "a\nb\n") == []
    assert compare_texts("a\nb\n", "a\r\nb") == []


def test_fields_are_added_removed_and_changed() -> None:
    old = {"license": "mit", "language": ["en"], "tags": "x", "same": {"a": 1}}
    new = {"license": "apache-2.0", "language": ["en", "de"], "same": {"a": 1}, "datasets": ["ü/d"]}
    assert list(compare_fields(old, new)) == [
        FieldChange("datasets", "", "- ü/d"),
        FieldChange("language", "- en", "- en\n- de"),
        FieldChange("license", "mit", "apache-2.0"),
        FieldChange("tags", "x", ""),
    ]


def test_a_long_value_is_compared_inside() -> None:
    long = "\n".join(f"- item {number}" for number in range(9))
    kinds = [segment.text for segment in FieldChange("x", long, long.replace("4", "four")).segments]
    assert kinds[2:4] == ["4", "four"]
    assert FieldChange("x", "a", "b").segments == []
    assert FieldChange("x", "", long).segments == []


def test_an_empty_field_is_not_an_absent_one() -> None:
    assert list(compare_fields({}, {"a": ""})) == [FieldChange("a", "", "''")]


def test_a_card_is_compared_as_fields_and_body() -> None:
    found = compare_cards("---\nlicense: mit\n---\nOne two.\n", "---\nlicense: bsd\n---\nOne three.\n")
    assert [change.name for change in found.fields] == ["license"]
    assert [segment.text for segment in found.segments if segment.kind != "same"] == ["two", "three"]
    with pytest.raises(ValidationError):
        compare_cards("# fine\n", "---\na: &x 1\n---\n")


TEXT = st.lists(st.text("ab \n", max_size=12), max_size=12).map("\n".join)


@given(TEXT, TEXT)
def test_both_texts_can_be_read_out_of_the_comparison(old: str, new: str) -> None:
    def lines(text: str) -> str:
        return "".join(f"{line}\n" for line in text.splitlines())

    segments = compare_texts(old, new)
    if not segments:
        assert old.splitlines() == new.splitlines()
        return
    if any(segment.kind == "gap" for segment in segments):
        hidden = sum(segment.lines for segment in segments)
        assert 0 < hidden <= len(new.splitlines())
        return
    assert "".join(segment.text for segment in segments if segment.kind != "added") == lines(old)
    assert "".join(segment.text for segment in segments if segment.kind != "removed") == lines(new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x\n" * 400_000, "y\n" * 400_000),
        ("a\nb\n" * 900, "b\na\n" * 900),
        ("a b " * 200_000, "b a " * 200_000),
        ("\n".join(map(str, range(1900))), "\n".join(map(str, range(1900, 0, -1)))),
    ],
)
def test_the_largest_changes_take_a_moment(old: str, new: str) -> None:
    started = time.process_time()
    compare_texts(old, new)
    assert time.process_time() - started < 10  # about 2 s at most where it was measured
