"""A reader who comes back reads every change once, also those that commit late, and sees what is gone as gone."""

from __future__ import annotations

import random
import runpy
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Case, Value, When
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts import worker_rounds
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import VoidReason
from portal.catalog.models import ModelCard
from portal.exports.change_feed import Place, read_changes, settle_after_a_restore
from portal.exports.cursors import InvalidCursor
from portal.exports.models import Change, ChangeKind, RecordKind, Snapshot
from portal.feedback.models import Consent, ReviewState, Submission
from portal.feedback.services import revise_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.services.limitations import change_limitation, make_limitation
from portal.reviews.services.verdicts import undo_verdict
from tests.arena.contests import compare, make_contest, make_vote
from tests.feedback.judgements import judge, make_variant
from tests.reviews.desk import give_verdict, item_of

WRITERS, EACH = 4, 12
PATIENCE_S = 120
# Transactions that a server counts while nobody reads.
UNREAD_TRANSACTIONS = 500


def told(since: Place | None = None) -> list[tuple[str, str]]:
    return [(row["change"], row["id"]) for row in read_changes(since or Place(), 1_000).rows]


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_what_is_given_changed_reviewed_withdrawn_and_deleted_is_told(alice: User, bob: User) -> None:
    given, deleted = judge(alice), judge(bob)
    assert given.generation is not None
    revise_feedback(Actor(user=alice), given.generation, {"comment": "Later."})
    given.refresh_from_db()
    assert given.move_review([ReviewState.UNREVIEWED, ReviewState.IN_REVIEW], ReviewState.ACCEPTED)
    withdraw_feedback(Actor(user=alice), given.generation)
    deleted.generation.conversation.delete()  # type: ignore[union-attr]
    vote = make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    vote.void(VoidReason.OPERATOR)
    mine = [change for change, record in told() if record == str(given.pk)]
    # Entering the queue is a move of its own.
    assert [change for place, change in enumerate(mine) if place == 0 or mine[place - 1] != change] == [
        "created",
        "changed",
        "withdrawn",
    ]
    assert ("withdrawn", str(deleted.pk)) in told()
    assert [change for change, record in told() if record == str(vote.pk)] == ["created", "changed"]


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_a_row_is_as_it_is_now_and_none_of_it_is_left_when_it_is_gone(alice: User, bob: User) -> None:
    kept, gone, private = judge(alice, comment="Yes."), judge(bob, comment="No."), judge(alice)
    assert gone.generation is not None
    withdraw_feedback(Actor(user=bob), gone.generation)
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    rows = {row["id"]: row["row"] for row in read_changes(Place(), 1_000).rows}
    assert rows[str(kept.pk)]["answers"]["comment"] == "Yes."
    assert rows[str(gone.pk)] is None
    assert rows[str(private.pk)] is None


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_verdicts_limitations_and_snapshots_are_told_to_who_asks(
    alice: User, reviewer: User, maintainer: User, bob_client: Client
) -> None:
    submission, private = judge(alice), judge(alice)
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    first = give_verdict(reviewer, item_of(submission))
    assert not read_changes(Place(), 10, [RecordKind.VERDICT]).rows  # one of two says nothing yet
    give_verdict(maintainer, item_of(submission))
    give_verdict(reviewer, item_of(private))
    give_verdict(maintainer, item_of(private))
    card = submission.card
    assert card is not None
    limitation = make_limitation(maintainer, card, [str(submission.pk)], title="Says ship.")
    change_limitation(maintainer, limitation, 1, severity="high")
    snapshot = Snapshot.objects.create(title="A", tables=["kto"], state="running", attempt=1, number=4)
    assert snapshot.succeed(manifest={"rows": {"kto": 1}, "licences": [], "previous": None})

    def asked(kinds: str) -> list[dict[str, Any]]:
        page = bob_client.get(reverse("api:change-list"), {"kind": kinds}).json()
        return list(page["results"])

    [verdict] = asked("verdict")
    assert (verdict["change"], verdict["id"], verdict["row"]["outcome"]) == ("created", str(submission.pk), "accept")
    assert set(verdict["row"]) == {"submission", "vote", "outcome", "reason", "duplicate_of", "verdicts", "decided_at"}
    told_limitations = asked("limitation")
    assert [(each["change"], each["row"]["severity"]) for each in told_limitations] == [
        ("created", "high"),
        ("changed", "high"),
    ]
    [told_snapshot] = asked("snapshot")
    assert (told_snapshot["id"], told_snapshot["row"]["rows"]) == ("4", {"kto": 1})
    ModelCard.objects.filter(pk=card.pk).update(is_published=False)
    assert {each["row"] for each in asked("limitation")} == {None}
    undo_verdict(reviewer, first.pk)
    assert [(each["change"], each["row"]) for each in asked("verdict")][1] == ("withdrawn", None)
    refused = bob_client.get(reverse("api:change-list"), {"kind": "verdict,card"})
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, "kind")


@pytest.mark.django_db(transaction=True)
def test_a_reader_beside_writers_that_commit_late_reads_every_change_once() -> None:
    written: list[str] = []

    def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(EACH):
            record = uuid.uuid4()
            with transaction.atomic():
                Change.note(RecordKind.SUBMISSION, record, ChangeKind.CREATED)
                # The id is taken; on PostgreSQL others commit theirs meanwhile.
                time.sleep(dice.random() * 0.02)
            written.append(str(record))
        connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for thread in threads:
        thread.start()
    read: list[str] = []
    place = Place()
    while any(thread.is_alive() for thread in threads):
        changes = read_changes(place, 5)
        read += [row["id"] for row in changes.rows]
        place = changes.next
    for thread in threads:
        thread.join()
    # PostgreSQL counts the transactions of all its databases: another test's may be open for a while.
    deadline = time.monotonic() + PATIENCE_S
    while len(read) < WRITERS * EACH and time.monotonic() < deadline:
        changes = read_changes(place, 5)
        read += [row["id"] for row in changes.rows]
        place = changes.next
        if not changes.rows:
            time.sleep(0.05)
    assert len(read) == WRITERS * EACH
    assert sorted(read) == sorted(written)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_place_reads_back(transaction_id: int, id_: int) -> None:
    place = Place(transaction_id, id_)
    assert len(place.encoded()) == 22
    assert Place.decoded(place.encoded()) == place


@given(st.text(max_size=40) | st.text("abcXYZ019-_=", min_size=21, max_size=23))
def test_any_other_text_is_no_place_or_gives_itself_back(text: str) -> None:
    try:
        place = Place.decoded(text)
    except InvalidCursor:
        return
    assert place.encoded() == text


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_over_http_next_goes_on_where_it_was(alice: User, bob_client: Client, client: Client) -> None:
    address = reverse("api:change-list")
    assert client.get(address).status_code == 401
    given = [judge(alice) for _ in range(3)]
    seen: list[Any] = []
    page = bob_client.get(address, {"limit": "2"}).json()
    while page["results"]:
        seen += page["results"]
        page = bob_client.get(address, {"limit": "2", "since": page["next"]}).json()
    assert {row["id"] for row in seen} == {str(each.pk) for each in given}
    assert not page["has_more"]
    later = judge(alice)
    fresh = bob_client.get(address, {"since": page["next"]}).json()["results"]
    assert {row["id"] for row in fresh} == {str(later.pk)}
    for query, parameter in (({"since": "x"}, "since"), ({"limit": "0"}, "limit"), ({"card": "a/b"}, "card")):
        refused = bob_client.get(address, query)
        assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, parameter)
    day = bob_client.get(address, {"since": "2026-01-31"}).json()["detail"]
    assert "Must be a “next” that this address gave out, and no day" in day


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_a_page_takes_the_same_queries_however_full(alice: User) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            read_changes(Place(), 1_000)
        return len(queries)

    variants = [make_variant(), make_variant(slug="int8")]
    for _ in range(2):
        judge(alice)
        make_vote(compare(make_contest(alice, variants)))
    few = count()
    for _ in range(3):
        judge(alice)
        make_vote(compare(make_contest(alice, variants)))
    assert count() == few


def note() -> Change:
    with transaction.atomic():
        Change.note(RecordKind.SUBMISSION, uuid.uuid4(), ChangeKind.CREATED)
    return Change.objects.latest("pk")


def bring_along(*transactions: tuple[Change, int]) -> None:
    """As if a dump had these changes with these transactions: all of them written here by one statement."""
    numbers = [When(pk=change.pk, then=Value(number)) for change, number in transactions]
    with transaction.atomic():
        Change.objects.filter(pk__in=[change.pk for change, _number in transactions]).update(
            transaction_id=Case(*numbers)
        )


def records(*changes: Change) -> list[str]:
    return [change.record for change in changes]


def behind(place: Place) -> list[str]:
    return [record for _change, record in told(place)]


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_after_a_dump_was_read_into_another_server_every_change_is_told_once() -> None:
    old, read, unread = note(), note(), note()
    # Of another server, whose last transactions are yet to come here.
    bring_along((old, 1), (read, 2**40), (unread, 2**40))
    kept = Place(2**40, read.pk)
    later = note()
    assert behind(kept) == records(unread, later)
    assert behind(Place()) == records(old, read, unread, later)
    page = read_changes(kept, 1_000)
    assert not read_changes(page.next, 1_000).rows
    # Of an older backup: what the reader had of it is not there, and nothing that came since is passed over.
    assert behind(Place(2**40, 10**9)) == records(later)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
@pytest.mark.parametrize("earlier", [1, 2**40 - 5], ids=["past here", "yet to come here"])
def test_a_dump_keeps_the_order_of_transactions_whose_ids_are_the_other_way_round(earlier: int) -> None:
    unread, read = note(), note()
    bring_along((unread, 2**40), (read, earlier))
    kept = Place(earlier, read.pk)
    later = note()
    assert behind(kept) == records(unread, later)
    assert behind(Place()) == records(read, unread, later)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_places_are_found_again_after_each_of_several_restores() -> None:
    first, second = note(), note()
    bring_along((first, 2**40), (second, 2**40 + 1))
    kept = [Place(2**40, first.pk)]
    third = note()
    kept.append(read_changes(kept[0], 1).next)
    assert behind(kept[0]) == records(second, third)
    # The second server's counter was behind the first one's.
    bring_along((third, 2**30))
    kept.append(Place(2**30, third.pk))
    fourth = note()
    assert [behind(place) for place in kept] == [
        records(second, third, fourth),
        records(third, fourth),
        records(fourth),
    ]
    assert behind(Place()) == records(first, second, third, fourth)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_a_place_whose_change_is_another_one_here_passes_over_nothing() -> None:
    told_elsewhere, unread = note(), note()
    bring_along((told_elsewhere, 2**40), (unread, 2**40 + 7))
    later = note()
    # The ids of these two were another change's on a server whose last hours are in no backup.
    assert behind(Place(2**40, later.pk)) == records(unread, later)
    assert behind(Place(2**40 + 3, told_elsewhere.pk)) == records(unread, later)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_transaction_is_read")
def test_a_place_behind_a_whole_transaction_as_older_versions_kept_it_stays_where_it_is() -> None:
    told = note()
    place = Place(told.transaction_id, 2**63 - 1)
    assert behind(place) == []
    assert behind(Place(2**40, 2**63 - 1)) == records(told), "a transaction that this server has not seen yet"


def migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("migrate", verbosity=0)


def sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[Callable[[], object]] = []
    monkeypatch.setattr(worker_rounds, "repeat_in_workers", lambda _name, _every_s, work: rounds.append(work))
    runpy.run_module("portal.exports.job_tasks")
    for work in rounds:
        work()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("own_transaction_is_read")
@pytest.mark.parametrize("moment", [migrate, sweep])
def test_a_reader_who_comes_long_after_a_restore_is_told_what_moved_since(
    moment: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = note()
    ahead = transactions_counted() + UNREAD_TRANSACTIONS
    bring_along((read, ahead))
    moment(monkeypatch)
    later = note()
    while connection.vendor == "postgresql" and transactions_counted() <= ahead:
        pass
    assert behind(Place(ahead, read.pk)) == records(later)


def transactions_counted() -> int:
    """With this one, which counts."""
    if connection.vendor != "postgresql":
        return 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_without_a_restore_settling_is_one_look() -> None:
    note()
    with CaptureQueriesContext(connection) as queries:
        settle_after_a_restore()
    assert len(queries) == 1
