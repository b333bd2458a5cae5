"""Beside conversations: presets, unsent answers and contests of visitors whom no browser knows any more go as well."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts.models import User
from portal.arena.models import Contest, Kind
from portal.feedback.models import Campaign, CampaignDraft, Questionnaire, Submission
from portal.feedback.services import submit_feedback
from portal.playground.models import Conversation, Generation, Preset, ShareLink
from portal.playground.retention import forget_visitors
from tests.arena.contests import compare, make_contest, make_vote
from tests.playground.test_retention import give_session
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db

Make = Callable[[uuid.UUID], Any]


def long_ago(days: float = 31) -> Any:
    return timezone.now() - timedelta(days=days)


def preset(visitor: uuid.UUID, days: float = 31, **columns: Any) -> Preset:
    made = Preset.objects.create(visitor=visitor, name="Dry", system_prompt="Be brief.", **columns)
    Preset.objects.filter(pk=made.pk).update(created_at=long_ago(days))
    return made


def draft(visitor: uuid.UUID, days: float = 31) -> CampaignDraft:
    asked = Questionnaire.objects.get(slug="comparison", is_current=True)
    campaign = Campaign.objects.create(slug=uuid.uuid4().hex, title="Spring", questionnaire=asked, is_published=True)
    return CampaignDraft.objects.create(
        campaign=campaign, visitor=visitor, values={"wish": "x"}, saved_at=long_ago(days)
    )


def contest(visitor: uuid.UUID, kind: Kind = Kind.SIDE_BY_SIDE, days: float = 31) -> Contest:
    made = make_contest(visitor, [make_variant(f"a/{visitor}"), make_variant(f"b/{visitor}")], kind)
    Contest.objects.filter(pk=made.pk).update(created_at=long_ago(days))
    Conversation.objects.filter(contender__contest=made).update(updated_at=long_ago(days))
    return made


def blind(visitor: uuid.UUID) -> Contest:
    return contest(visitor, Kind.BATTLE)


@pytest.mark.parametrize("make", [preset, draft, contest, blind])
def test_it_goes_once_no_browser_knows_the_visitor(make: Make) -> None:
    gone, kept = uuid.uuid4(), uuid.uuid4()
    left, living = make(gone), make(kept)
    give_session(kept)
    give_session(gone, timedelta(seconds=-1))
    assert forget_visitors() == 1
    assert list(type(left).objects.all()) == [living]


@pytest.mark.parametrize("make", [preset, draft, contest])
def test_it_stays_while_it_is_recent(make: Any) -> None:
    make(uuid.uuid4(), days=29)
    assert forget_visitors() == 0


def test_what_people_have_stays_however_old(alice: User) -> None:
    for make in (preset, draft, contest):
        made = make(uuid.uuid4())
        type(made).objects.filter(pk=made.pk).update(owner=alice, visitor=None)
    # Not their conversations, of which two stay for their contest.
    assert forget_visitors() == 0
    assert (Preset.objects.count(), CampaignDraft.objects.count(), Contest.objects.count()) == (1, 1, 1)


def test_a_preset_that_was_shared_stays_for_who_has_its_link() -> None:
    preset(uuid.uuid4(), share_token="t" * 32)
    assert forget_visitors() == 0


@pytest.mark.parametrize("kind", list(Kind))
def test_the_conversations_of_a_contest_go_with_it(kind: Kind) -> None:
    contest(uuid.uuid4(), kind)
    assert (forget_visitors(), forget_visitors()) == (1, 0)
    assert not Conversation.objects.exists()
    assert not Generation.objects.exists()


def share(made: Contest) -> None:
    ShareLink.objects.create(generation=made.contenders.get(position=0).conversation.generations.get())


def rerun_by_another(made: Contest) -> None:
    run = made.contenders.get(position=1).conversation.generations.get()
    add_turn(make_conversation(uuid.uuid4()), run.variant, rerun_of=run)


def vote(made: Contest) -> None:
    make_vote(compare(made))


def judge(made: Contest) -> None:
    assert made.visitor is not None
    run = made.contenders.get(position=0).conversation.generations.get()
    submit_feedback(actor_of(made.visitor), run, {"thumb": "up"})


def say_what_tells_them_apart(made: Contest) -> None:
    asked = Questionnaire.objects.get(slug="comparison", is_current=True)
    Submission.objects.create(
        target="comparison", comparison=compare(made), visitor=made.visitor, questionnaire=asked, shown={}
    )


def go_on(made: Contest) -> None:
    Conversation.objects.filter(contender__contest=made, contender__position=1).update(updated_at=long_ago(1))


@pytest.mark.parametrize("happens", [vote, go_on, share, judge, say_what_tells_them_apart, rerun_by_another])
def test_a_contest_stays_with_all_its_answers_while_one_of_them_is_needed(happens: Callable[[Contest], None]) -> None:
    made = contest(uuid.uuid4())
    happens(made)
    assert forget_visitors() == 0
    assert Contest.objects.get() == made
    assert Generation.objects.filter(reply__contender__contest=made).count() == 2


def test_how_much_there_is_to_forget_takes_no_more_queries() -> None:
    def queries(count: int) -> int:
        for _ in range(count):
            visitor = uuid.uuid4()
            for make in (preset, draft):
                make(visitor)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert forget_visitors() == 2 * count
        return len(captured)

    assert queries(1) == queries(6)
