"""What visitors left behind goes when no browser knows them any more, and nothing that somebody needs goes with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import connection, connections
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from portal.accounts import visitors as accounts_visitors
from portal.accounts.actors import VISITOR_SESSION_KEY
from portal.accounts.models import User
from portal.accounts.visitors import living_visitors
from portal.arena.models import Kind
from portal.catalog.models import ModelCard, Variant
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground import retention
from portal.playground.job_tasks import forget_visitors_task
from portal.playground.models import Conversation, Generation, MaintenanceLease, ShareLink, State, TokenTrace
from portal.playground.retention import forget_visitors, purge_conversations
from portal.reviews.models import Limitation, Replay, ReplayRun, ReproductionRun
from tests.arena.contests import compare, make_contest, make_vote
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db

Keep = Callable[[Generation], object]


def session_store() -> Any:
    return import_module(django_settings.SESSION_ENGINE).SessionStore()


def give_session(visitor: uuid.UUID, left: timedelta = timedelta(days=60)) -> None:
    store = session_store()
    store[VISITOR_SESSION_KEY] = str(visitor)
    store.create()
    Session.objects.filter(pk=store.session_key).update(expire_date=timezone.now() + left)


def left_behind(variant: Variant, days: float = 31, **columns: Any) -> Generation:
    """A visitor's only run, of so many days ago."""
    run = add_turn(make_conversation(uuid.uuid4(), **columns), variant)
    TokenTrace.objects.create(generation=run, tokens=[])
    Conversation.objects.filter(pk=run.conversation_id).update(updated_at=timezone.now() - timedelta(days=days))
    return run


def visitor_of(run: Generation) -> uuid.UUID:
    assert run.conversation.visitor is not None
    return run.conversation.visitor


def is_there(run: Generation) -> bool:
    return (
        Generation.objects.filter(pk=run.pk).exists() and Conversation.objects.filter(pk=run.conversation_id).exists()
    )


def make_limitation(card: ModelCard) -> Limitation:
    return Limitation.objects.create(card=card, title="It miscounts")


def replayed(run: Generation, **runs: Generation) -> None:
    replay = Replay.objects.create(limitation=make_limitation(run.variant.card), variant=run.variant)
    ReplayRun.objects.create(replay=replay, **runs)


def judge(run: Generation) -> Any:
    return submit_feedback(actor_of(visitor_of(run)), run, {"thumb": "up"})


def judge_and_withdraw(run: Generation) -> None:
    judge(run)
    withdraw_feedback(actor_of(visitor_of(run)), run)


def rerun_by_another(run: Generation) -> None:
    add_turn(make_conversation(uuid.uuid4()), run.variant, rerun_of=run)


def branch_of_another(run: Generation) -> None:
    add_turn(make_conversation(uuid.uuid4()), run.variant, branched_from=run, branch_token=0)


def sign_in(run: Generation) -> None:
    user = User.objects.create_user(f"u{run.pk.hex[:20]}")
    Conversation.objects.filter(pk=run.conversation_id).update(owner=user, visitor=None)


def rests_for(days: float) -> Keep:
    return lambda run: Conversation.objects.filter(pk=run.conversation_id).update(
        updated_at=timezone.now() - timedelta(days=days)
    )


KEEPING: dict[str, Keep] = {
    "a living session": lambda run: give_session(visitor_of(run)),
    "it is recent": rests_for(29.9),
    "its owner signed in": sign_in,
    "judged": judge,
    "judged and withdrawn": judge_and_withdraw,
    "a link to the run": lambda run: ShareLink.objects.create(generation=run),
    "a link to all": lambda run: ShareLink.objects.create(conversation=run.conversation),
    "run again by another": rerun_by_another,
    "gone on with by another": branch_of_another,
    "it shows a limitation": lambda run: ReproductionRun.objects.create(
        limitation=make_limitation(run.variant.card), generation=run
    ),
    "replayed": lambda run: replayed(run, original=run),
    "the answer of a replay": lambda run: replayed(run, original=left_behind(run.variant), generation=run),
    "under way": lambda run: Generation.objects.filter(pk=run.pk).update(
        state=State.QUEUED, finish_reason="", finished_at=None
    ),
}
LEAVING: dict[str, Keep] = {
    "nothing": lambda run: None,
    "a session that is over": lambda run: give_session(visitor_of(run), timedelta(seconds=-1)),
    "a session of another": lambda run: give_session(uuid.uuid4()),
    "a link that was revoked": lambda run: ShareLink.objects.create(conversation=run.conversation).revoke(),
    "further turns": lambda run: add_turn(run.conversation, run.variant, run, rerun_of=run),
}


@pytest.mark.parametrize("reason", [*KEEPING, *LEAVING])
def test_a_visitors_conversation_goes_unless_somebody_may_need_it(variant: Variant, reason: str) -> None:
    run = left_behind(variant)
    (KEEPING | LEAVING)[reason](run)
    gone = forget_visitors()
    assert is_there(run) == (reason in KEEPING)
    assert gone == (reason in LEAVING)
    assert forget_visitors() == 0


@given(mixed=st.lists(st.sets(st.sampled_from(sorted(KEEPING | LEAVING)), max_size=3), max_size=8))
@examples(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_is_mixed_exactly_what_nobody_needs_goes(settings: Any, mixed: list[set[str]]) -> None:
    settings.FEEDBACK_RATE = "1000000/minute"
    Conversation.objects.all().delete()
    Session.objects.all().delete()
    variant = make_variant(f"tests/{uuid.uuid4().hex}")
    runs = [left_behind(variant) for _ in mixed]
    for run, reasons in zip(runs, mixed, strict=True):
        for reason in sorted(reasons - {"its owner signed in", "it is recent"}):
            (KEEPING | LEAVING)[reason](run)
        if "it is recent" in reasons:
            KEEPING["it is recent"](run)
        if "its owner signed in" in reasons:
            sign_in(run)
    forget_visitors()
    assert [is_there(run) for run in runs] == [bool(reasons & KEEPING.keys()) for reasons in mixed]


@pytest.mark.parametrize("kind", list(Kind))
def test_contests_and_their_votes_stay(variant: Variant, kind: Kind) -> None:
    contest = make_contest(uuid.uuid4(), [variant, make_variant("other/tiny")], kind)
    make_vote(compare(contest))
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=400))
    before = Generation.objects.count()
    assert forget_visitors() == 0
    assert Generation.objects.count() == before > 0


def test_many_go_in_turns_and_behind_those_that_stay(variant: Variant) -> None:
    kept = [left_behind(variant, days=100) for _ in range(12)]
    for run in kept:
        give_session(visitor_of(run))
    runs = [left_behind(variant) for _ in range(25)]
    with mock.patch.object(retention, "FORGOTTEN_IN_A_ROUND", 20):
        assert (forget_visitors(), forget_visitors()) == (20, 5)
    assert not any(map(is_there, runs))
    assert all(map(is_there, kept))
    assert TokenTrace.objects.count() == 12


@pytest.mark.parametrize(("days", "age", "stays"), [(0, 4000, True), (90, 89, True), (90, 91, False), (1, 1.5, True)])
def test_how_long_is_the_operators_choice(variant: Variant, settings: Any, days: int, age: float, stays: bool) -> None:
    settings.VISITOR_CONVERSATION_DAYS = days
    run = left_behind(variant, days=age)
    forget_visitors()
    assert is_there(run) == stays


@pytest.mark.sqlite
def test_four_times_as_many_conversations_take_about_four_times_the_work(variant: Variant) -> None:
    def work_for(count: int) -> int:
        for _ in range(count):
            give_session(visitor_of(left_behind(variant)))
        steps = 0

        def count_step() -> None:
            nonlocal steps
            steps += 1

        connection.connection.set_progress_handler(count_step, 100)
        try:
            assert forget_visitors() == 0
        finally:
            connection.connection.set_progress_handler(None, 0)
        return steps

    first = work_for(50)
    assert work_for(150) < 6 * first


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_another_process_may_write_between_two_turns(variant: Variant) -> None:
    visitors = [Conversation(visitor=uuid.uuid4(), title="x") for _ in range(2_100)]
    Conversation.objects.bulk_create(visitors)
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
    written = 0

    def another_writes(rows: list[Any], size: int) -> Iterator[list[Any]]:
        nonlocal written
        assert size == retention.FORGOTTEN_AT_ONCE
        for row in rows:
            with ThreadPoolExecutor(1) as others:
                others.submit(write).result()
            written += 1
            yield [row]

    def write() -> None:
        with closing(connections["default"]):
            make_conversation(uuid.uuid4())

    with (
        mock.patch.object(retention, "FORGOTTEN_IN_A_ROUND", 3),
        mock.patch.object(retention, "in_turns", another_writes),
    ):
        assert forget_visitors() == written == 3


def test_of_all_workers_one_looks_and_an_hour_later_another_one(variant: Variant) -> None:
    first = left_behind(variant)
    forget_visitors_task()
    second = left_behind(variant)
    forget_visitors_task()
    assert (is_there(first), is_there(second)) == (False, True)
    MaintenanceLease.objects.update(free_at=F("free_at") - timedelta(hours=1))
    forget_visitors_task()
    assert not is_there(second)


def test_no_session_is_read_while_nothing_is_old(variant: Variant) -> None:
    left_behind(variant, days=1)
    with mock.patch.object(retention, "living_visitors", side_effect=AssertionError):
        assert forget_visitors() == 0


def test_only_the_visitors_asked_about_are_told() -> None:
    give_session(visitor := uuid.uuid4())
    give_session(uuid.uuid4())
    assert living_visitors({visitor, uuid.uuid4()}) == {visitor}


def test_sessions_are_read_to_the_last_whatever_fits_a_slice() -> None:
    for count in range(4):
        visitors = {uuid.uuid4() for _ in range(count)}
        Session.objects.all().delete()
        for visitor in visitors:
            give_session(visitor)
        with mock.patch.object(accounts_visitors, "_READ_AT_ONCE", 2):
            assert living_visitors(visitors) == visitors


@pytest.mark.parametrize("odd", ["nonsense", "", 7, None, ["x"], {"a": 1}, [], "a session that is a list"])
def test_what_is_odd_in_a_session_is_no_visitor_and_stops_nothing(variant: Variant, odd: Any) -> None:
    data = ["x"] if odd == "a session that is a list" else {VISITOR_SESSION_KEY: odd}
    Session.objects.create(
        session_key="odd", session_data=session_store().encode(data), expire_date=timezone.now() + timedelta(days=1)
    )
    kept, gone = left_behind(variant), left_behind(variant)
    give_session(visitor_of(kept))
    assert forget_visitors() == 1
    assert (is_there(kept), is_there(gone)) == (True, False)


def test_nothing_goes_while_most_sessions_cannot_be_read(variant: Variant, caplog: pytest.LogCaptureFixture) -> None:
    living, over = left_behind(variant), left_behind(variant)
    give_session(visitor_of(living))
    give_session(uuid.uuid4())
    with override_settings(SECRET_KEY="that of another installation, or of a worker alone"):
        assert forget_visitors() == 0
        assert is_there(living)
        assert is_there(over)
        (said,) = (record for record in caplog.records if record.name.startswith("portal.playground.retention"))
        assert said.levelname == "ERROR"
        assert "2 of 2 living sessions cannot be read" in said.getMessage()
        assert "Give workers the SECRET_KEY that the web processes have" in said.getMessage()
        # Half of them: what remains are some of an earlier key, with which nobody comes back.
        for _ in range(2):
            give_session(uuid.uuid4())
        assert forget_visitors() == 2


def test_sessions_under_an_earlier_key_that_still_counts_are_read(variant: Variant, settings: Any) -> None:
    run = left_behind(variant)
    give_session(visitor_of(run))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one"
    assert forget_visitors() == 0
    assert is_there(run)


@pytest.mark.parametrize("reason", ["it shows a limitation", "replayed", "the answer of a replay"])
def test_what_was_deleted_stays_while_a_known_limitation_needs_it(variant: Variant, reason: str) -> None:
    run = left_behind(variant, deleted_at=timezone.now() - timedelta(days=30))
    KEEPING[reason](run)
    purge_conversations()
    assert is_there(run)
