"""What reviewers said, as data: every verdict once, by pseudonyms, blind until decided, with agreement as measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.tables import TABLES
from portal.exports.tables.reviews import expected_disagreement, item_agreement
from portal.feedback.models import Consent, Submission
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.agreement import krippendorff_alpha
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of


@pytest.fixture
def panel(make_user: Callable[..., User]) -> list[User]:
    return [make_user(name, Role.REVIEWER) for name in ("ada", "ben", "cleo")]


def rows(table: str = "reviews", **criteria: Any) -> list[dict[str, Any]]:
    return [row for chunk in TABLES[table].plan(Criteria(**criteria)).chunks for row in chunk]


def decided(alice: User, panel: list[User], verdicts: str, **labels: Any) -> Submission:
    """A judgement on which the panel says these: a accept, r reject."""
    submission = judge(alice)
    for reviewer, verdict in zip(panel, verdicts, strict=False):
        give_verdict(reviewer, item_of(submission), {"a": "accept", "r": "reject"}[verdict], **labels)
    return submission


@pytest.mark.django_db
def test_a_verdict_is_a_row_once_its_item_is_decided(alice: User, panel: list[User]) -> None:
    waiting = judge(alice)
    give_verdict(panel[0], item_of(waiting))
    split = decided(alice, panel, "ara", labels=("harm",), answers={"thumb": "down"})
    private, gone = decided(alice, panel, "aa"), decided(alice, panel, "aa")
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    assert gone.generation is not None
    withdraw_feedback(Actor(user=alice), gone.generation)
    found = rows()
    assert {row["submission"] for row in found} == {str(split.pk)}
    assert [row["verdict"] for row in found] == ["accept", "reject", "accept"]
    assert [row["role"] for row in found] == ["independent", "independent", "adjudication"]
    assert [(row["labels"], row["answers"]) for row in found] == [(["harm"], {"thumb": "down"})] * 3
    assert {(row["reviewers"], row["agreement"], row["outcome"]) for row in found} == {(2, 0.5, "accept")}
    assert len({row["reviewer"] for row in found}) == 3
    told = json.dumps(found)
    # "ada" alone may stand in any digest.
    assert not any(f'"{name}"' in told for name in ("ada", "ben", "cleo", "alice"))
    [contributor] = {row["contributor"] for row in rows("submissions")} - {None}
    assert contributor[1:] not in told


@pytest.mark.django_db
def test_a_label_selects_nothing_before_its_item_is_decided(alice: User, panel: list[User]) -> None:
    waiting = judge(alice)
    give_verdict(panel[0], item_of(waiting), "accept", labels=("harm",))
    assert rows("submissions", label="harm") == []
    give_verdict(panel[1], item_of(waiting), "accept")
    assert [row["id"] for row in rows("submissions", label="harm")] == [str(waiting.pk)]


@pytest.mark.django_db
def test_labels_and_agreement_select_in_every_table(alice: User, panel: list[User]) -> None:
    agreed = decided(alice, panel, "aa", labels=("harm",))
    split = decided(alice, panel, "ara", labels=("bias",))
    judge(alice)
    for table in ("feedback", "submissions"):
        assert {row["id"] for row in rows(table, agreement_min=1.0)} == {str(agreed.pk)}
        assert {row["id"] for row in rows(table, agreement_min=0.5)} == {str(agreed.pk), str(split.pk)}
        assert {row["id"] for row in rows(table, label="bias")} == {str(split.pk)}
        assert rows(table, label="refusal") == []
    for table in ("answers", "reviews"):
        assert {row["submission"] for row in rows(table, label="harm", agreement_min=0.75)} == {str(agreed.pk)}
    assert [row["submissions"] for row in rows("kto", label="harm")] == [[str(agreed.pk)]]
    [tree] = rows("conversations", label="harm")
    assert tree["generations"][0]["submissions"] == [str(agreed.pk)]
    assert rows("comparisons", agreement_min=0.5) == []
    assert len(rows("conversations", review_state=("unreviewed",))) == 1
    plan = TABLES["reviews"].plan(Criteria())
    assert plan.expected is not None
    assert plan.expected() == len(rows()) == 5


@given(st.lists(st.lists(st.sampled_from(["accept", "reject", "spam"]), min_size=1, max_size=5), max_size=30))
def test_the_items_parts_add_up_to_krippendorffs_alpha(units: list[list[str]]) -> None:
    judged = [unit for unit in units if len(unit) > 1]
    counts = [sum(unit.count(verdict) for unit in judged) for verdict in ("accept", "reject", "spam")]
    expected = expected_disagreement(counts)
    parts = [(len(unit), item_agreement(unit, "accept", expected).alpha) for unit in judged]
    whole = krippendorff_alpha(units, resamples=0).alpha
    if whole is None:
        assert all(alpha is None for _weight, alpha in parts)
    else:
        mean = sum(weight * (alpha or 0.0) for weight, alpha in parts) / sum(weight for weight, _alpha in parts)
        assert mean == pytest.approx(whole)


@pytest.mark.django_db
def test_the_table_takes_the_same_queries_however_full(alice: User, panel: list[User]) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            rows()
        return len(queries)

    decided(alice, panel, "aa")
    few = count()
    for _ in range(3):
        decided(alice, panel, "aa")
    assert count() == few


@pytest.mark.parametrize(
    ("name", "text"),
    [("label", "nice"), ("label", ""), ("agreement_min", "1.5"), ("agreement_min", "half"), ("agreement_min", "-1")],
)
def test_what_cannot_be_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidCriterion) as refused:
        Criteria.from_texts({name: text})
    assert refused.value.parameter == name


def test_criteria_read_back() -> None:
    criteria = Criteria(label="harm", agreement_min=0.75)
    assert Criteria.from_texts(criteria.as_texts()) == criteria


@pytest.mark.django_db
def test_the_command_counts_first_and_says_how_far_it_is(
    alice: User,
    panel: list[User],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from portal.exports.management.commands import export_feedback

    decided(alice, panel, "aa")
    monkeypatch.setattr(export_feedback, "PROGRESS_EVERY_S", 0.0)
    call_command("export_feedback", "--table", "reviews", "--output", str(tmp_path / "reviews.jsonl"), "--progress")
    printed = capsys.readouterr()
    assert "2 of about 2 rows" in printed.err
    assert "of about" not in printed.out
