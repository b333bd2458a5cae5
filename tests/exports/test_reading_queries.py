"""Which judgements are read, in which order, at what cost, and what happens when they change meanwhile."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.exports import queries
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.queries import read_all, read_page, row_of, selected
from portal.feedback.models import Submission
from portal.feedback.withdrawing import withdraw_feedback
from tests.feedback.judgements import DIGESTS, judge, make_generation, make_variant

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def read(**texts: str) -> list[str]:
    page = read_page(selected(Criteria.from_texts(texts)), None, 100)
    return [row["id"] for row in page.rows]


def test_a_row_says_what_was_judged_and_by_nobody(alice: User) -> None:
    submission = judge(alice, helpfulness=4, reasons_up=["clear"], comment="Yes.")
    row = row_of(submission)
    assert row is not None
    assert row["answers"] == {"thumb": "up", "helpfulness": 4, "reasons_up": ["clear"], "comment": "Yes."}
    assert row["model"] == "smol/lm2:bf16"
    assert (row["prompt"], row["output"]) == ("What is a steelyard?", "A balance with two arms.")
    assert (row["turn"], row["seed"]) == (1, 7)
    assert row["weights_sha256"] == DIGESTS
    assert row["provenance"] == {"dtype": "bfloat16"}
    assert row["questionnaire_version"] == 1
    for secret in (alice.username, alice.email):
        assert secret not in str(row)


def test_one_person_has_one_pseudonym_and_two_have_two(alice: User, bob: User, visitor: uuid.UUID) -> None:
    given = [judge(alice), judge(alice), judge(bob), judge(visitor)]
    names = [row["contributor"] for row in map(row_of, given) if row]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_rows_come_oldest_first_and_pages_join_without_gap_or_repeat(alice: User) -> None:
    # Several in one microsecond: then the id decides.
    expected = [judge(alice, created_at=NOON + timedelta(microseconds=number // 3)) for number in range(10)]
    expected.sort(key=lambda submission: (submission.created_at, submission.pk.hex))
    everything, after = [], None
    while True:
        page = read_page(selected(Criteria()), after, 4)
        everything += [row["id"] for row in page.rows]
        if page.next is None:
            break
        after = page.next
    assert everything == [str(submission.pk) for submission in expected]


def test_what_arrives_while_somebody_reads_comes_once_and_at_the_end(alice: User) -> None:
    before = [judge(alice, created_at=NOON + timedelta(seconds=number)) for number in range(4)]
    first = read_page(selected(Criteria()), None, 3)
    late = judge(alice, created_at=NOON + timedelta(seconds=60))
    second = read_page(selected(Criteria()), first.next, 3)
    assert [row["id"] for row in first.rows + second.rows] == [str(each.pk) for each in [*before, late]]


def test_a_withdrawn_judgement_is_not_read(alice: User) -> None:
    submission = judge(alice)
    withdraw_feedback(Actor(user=alice), submission.generation)
    assert read() == []
    assert row_of(submission) is None


def test_criteria_select(alice: User) -> None:
    up = str(judge(alice, helpfulness=5, created_at=NOON).pk)
    down = str(judge(alice, thumb="down", helpfulness=2, created_at=NOON + timedelta(hours=1)).pk)
    other = make_generation(alice, variant=make_variant("acme/one", "q4"))
    elsewhere = str(judge(alice, other, created_at=NOON + timedelta(hours=2)).pk)
    assert read() == [up, down, elsewhere]
    assert read(card="acme/one") == [elsewhere]
    assert read(variant="smol/lm2:bf16") == [up, down]
    assert read(rating="2") == [down]
    assert read(rating_min="3") == [up]
    assert read(rating_min="1", rating_max="4") == [down]
    assert read(thumb="up") == [up, elsewhere]
    assert read(since="2026-05-01T13:00:00Z") == [down, elsewhere]
    assert read(until="2026-05-01T15:00:00+02:00") == [up]
    assert read(since="2026-05-01", until="2026-05-02", thumb="down", card="smol/lm2") == [down]


@pytest.mark.parametrize(
    ("texts", "parameter"),
    [
        ({"stars": "3"}, "stars"),
        ({"card": ""}, "card"),
        ({"card": "smol"}, "card"),
        ({"card": "smol/lm2\x00"}, "card"),
        ({"card": "smol/lm2\n"}, "card"),
        ({"card": "nobody/nothing"}, "card"),
        ({"variant": "smol/lm2"}, "variant"),
        ({"variant": "smol/lm2:nothing"}, "variant"),
        ({"rating": "0"}, "rating"),
        ({"rating": "6"}, "rating"),
        ({"rating": "²"}, "rating"),
        ({"rating": "4.5"}, "rating"),
        ({"rating": "3", "rating_min": "2"}, "rating"),
        ({"rating_min": "4", "rating_max": "2"}, "rating_min"),
        ({"thumb": "UP"}, "thumb"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-05-01T12:00:00"}, "since"),
        ({"since": "2026-02-30"}, "since"),
        ({"until": "0001-01-01T00:00:00+23:00"}, "until"),
        ({"until": "9999-12-31T23:00:00-23:00"}, "until"),
        ({"since": "2026-05-02", "until": "2026-05-01"}, "since"),
    ],
)
def test_a_bad_criterion_is_refused_by_name(texts: dict[str, str], parameter: str) -> None:
    with pytest.raises(InvalidCriterion) as refusal:
        selected(Criteria.from_texts(texts))
    assert refusal.value.parameter == parameter
    assert refusal.value.limit


def test_a_page_takes_two_queries_however_long(alice: User) -> None:
    for number in range(12):
        judge(alice, helpfulness=1 + number % 5, comment="Yes.")
    for limit in (1, 12):
        with CaptureQueriesContext(connection) as captured:
            read_page(selected(Criteria()), None, limit)
        assert len(captured) == 2


def test_everything_is_read_in_chunks_of_bounded_size(alice: User) -> None:
    given = [str(judge(alice, created_at=NOON + timedelta(seconds=number)).pk) for number in range(7)]
    with mock.patch.object(queries, "CHUNK_ROWS", 3):
        chunks = list(read_all(Criteria(), b"salt"))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert [row["id"] for chunk in chunks for row in chunk] == given


def test_reading_everything_ends_although_more_keeps_arriving(alice: User) -> None:
    for number in range(2):
        judge(alice, created_at=NOON + timedelta(seconds=number))
    read_count = 0
    with mock.patch.object(queries, "CHUNK_ROWS", 1):
        for chunk in read_all(Criteria(), b"salt"):
            read_count += len(chunk)
            judge(alice)
            assert read_count < 5
    assert read_count == 2


@pytest.mark.parametrize("change", ["answers", "withdrawal"])
def test_a_row_never_mixes_two_versions(alice: User, change: str) -> None:
    """Somebody changes or withdraws between the query for the rows and the query for their answers."""
    submission = judge(alice, comment="Before.")
    real, meddled = queries._answers, []

    def meddling(ids: Any) -> Any:
        if not meddled:
            meddled.append(True)
            if change == "answers":
                judge(alice, submission.generation, thumb="down", comment="After.")
            else:
                withdraw_feedback(Actor(user=alice), submission.generation)
        return real(ids)

    with mock.patch.object(queries, "_answers", meddling):
        rows = read_page(selected(Criteria()), None, 10).rows
    if change == "withdrawal":
        assert rows == []
    else:
        assert [(row["version"], row["answers"]) for row in rows] == [(2, {"thumb": "down", "comment": "After."})]


def test_a_submission_without_any_answer_is_a_row_too(alice: User) -> None:
    submission = judge(alice)
    submission.answers.all().delete()
    assert Submission.objects.count() == 1
    assert [row["answers"] for row in read_page(selected(Criteria()), None, 10).rows] == [{}]


def test_the_first_chunk_is_small_so_that_the_first_bytes_come_soon(alice: User) -> None:
    for number in range(6):
        judge(alice, created_at=NOON + timedelta(seconds=number))
    with mock.patch.object(queries, "CHUNK_ROWS", 4), mock.patch.object(queries, "FIRST_CHUNK_ROWS", 1):
        assert [len(chunk) for chunk in read_all(Criteria(), b"salt")] == [1, 4, 1]
