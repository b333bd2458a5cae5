"""Giving, changing and withdrawing a judgement, independent of how it arrived."""

from __future__ import annotations

import uuid
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.accounts.signals import visitor_became_user
from portal.feedback import services
from portal.feedback.answer_quality import MAX_COMMENT_CHARACTERS
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.models import Answer, Questionnaire, Submission
from portal.feedback.queries import answer_questionnaire
from portal.feedback.seed import seed_questionnaires
from portal.feedback.services import GenerationNotJudgeable, VersionConflict, revise_feedback, submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.models import State
from tests.feedback.judgements import judge, make_generation, make_variant

pytestmark = pytest.mark.django_db

WHOLE = {
    "thumb": "down",
    "helpfulness": 2,
    "reasons_down": ["incorrect", "repetitive"],
    "comment": "It names no source.",
}


def stored(submission: Submission) -> dict[str, Any]:
    return Submission.objects.get(pk=submission.pk).values()


def test_a_thumb_alone_is_a_judgement(alice: User) -> None:
    submission = submit_feedback(Actor(user=alice), make_generation(alice), {"thumb": "up"})
    assert stored(submission) == {"thumb": "up"}
    assert (submission.version, submission.newly_created) == (1, True)


def test_every_answer_is_stored_with_its_questionnaire_version(alice: User) -> None:
    submission = submit_feedback(Actor(user=alice), make_generation(alice), WHOLE)
    assert stored(submission) == WHOLE
    assert str(submission.questionnaire) == "answer-quality v1"


def test_more_answers_are_no_more_queries(alice: User) -> None:
    counted = []
    make_variant()  # what the first run would find in memory, the second would look for
    for answers in ({"thumb": "down", "comment": WHOLE["comment"]}, WHOLE):
        run = make_generation(alice)
        submit_feedback(Actor(user=alice), make_generation(alice), answers)  # the day's counts have their row
        with CaptureQueriesContext(connection) as queries:
            submit_feedback(Actor(user=alice), run, answers)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 30


def test_an_anonymous_visitor_judges_their_own_answer(visitor: uuid.UUID) -> None:
    submission = submit_feedback(Actor(visitor=visitor), make_generation(visitor), {"thumb": "down"})
    assert (submission.owner, submission.visitor) == (None, visitor)


def test_submitting_again_changes_the_one_judgement(alice: User) -> None:
    generation = make_generation(alice)
    first = submit_feedback(Actor(user=alice), generation, WHOLE)
    second = submit_feedback(Actor(user=alice), generation, {"thumb": "up"})
    assert second.pk == first.pk
    assert (second.version, second.newly_created) == (2, False)
    assert stored(second) == {"thumb": "up"}
    assert Answer.objects.count() == 1


def test_the_same_judgement_again_changes_nothing(alice: User) -> None:
    generation = make_generation(alice)
    first = submit_feedback(Actor(user=alice), generation, WHOLE)
    again = submit_feedback(Actor(user=alice), generation, WHOLE)
    assert (again.version, again.changed_at) == (1, first.changed_at)


@pytest.mark.parametrize(
    ("answers", "key", "part"),
    [
        ({}, "thumb", "needs an answer"),
        ({"thumb": None}, "thumb", "needs an answer"),
        ({"thumb": "sideways"}, "thumb", "up, down"),
        ({"thumb": ["up"]}, "thumb", "up, down"),
        ({"thumb": "up", "stars": 3}, "stars", "no such question"),
        ({"thumb": "up", "helpfulness": 6}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "helpfulness": 0}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "helpfulness": True}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "helpfulness": 3.0}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "helpfulness": "3"}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "helpfulness": 10**400}, "helpfulness", "1 to 5"),
        ({"thumb": "up", "reasons_up": "correct"}, "reasons_up", "list of"),
        ({"thumb": "up", "reasons_up": ["pretty"]}, "reasons_up", "list of"),
        ({"thumb": "up", "reasons_up": [["correct"]]}, "reasons_up", "list of"),
        ({"thumb": "up", "reasons_up": ["correct", "correct"]}, "reasons_up", "at most once"),
        ({"thumb": "up", "reasons_down": ["incorrect"]}, "reasons_down", "only when thumb"),
        ({"thumb": "up", "comment": 5}, "comment", "text"),
        ({"thumb": "up", "comment": "x" * (MAX_COMMENT_CHARACTERS + 1)}, "comment", "at most 4000"),
        ({"thumb": "up", "comment": "a\x00b"}, "comment", "NUL"),
        ({"thumb": "up", "comment": "a\ud800b"}, "comment", "surrogates"),
    ],
)
def test_an_invalid_answer_is_refused_by_key_and_stores_nothing(
    alice: User, answers: dict[str, Any], key: str, part: str
) -> None:
    with pytest.raises(AnswersInvalid) as refusal:
        submit_feedback(Actor(user=alice), make_generation(alice), answers)
    assert part in refusal.value.message_dict[key][0]
    assert not Submission.objects.exists()


def test_an_invalid_change_leaves_the_judgement_as_it_was(alice: User) -> None:
    submission = judge(alice, helpfulness=4)
    with pytest.raises(AnswersInvalid):
        submit_feedback(Actor(user=alice), submission.generation, {"thumb": "up", "helpfulness": 9})
    assert stored(submission) == {"thumb": "up", "helpfulness": 4}


def test_thousands_of_unknown_keys_are_refused_in_a_short_message(alice: User) -> None:
    with pytest.raises(AnswersInvalid) as refusal:
        submit_feedback(Actor(user=alice), make_generation(alice), {f"{n}" * 200: 1 for n in range(5_000)})
    assert len(refusal.value.message_dict) <= 21
    assert max(map(len, refusal.value.message_dict)) <= 60


def test_a_comment_of_the_greatest_length_counts_line_ends_once(alice: User) -> None:
    comment = "a\r\n" * (MAX_COMMENT_CHARACTERS // 2)
    assert len(judge(alice, comment=comment).values()["comment"]) < MAX_COMMENT_CHARACTERS


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.FAILED])
def test_a_run_without_a_finished_answer_cannot_be_judged(alice: User, state: State) -> None:
    with pytest.raises(GenerationNotJudgeable):
        submit_feedback(Actor(user=alice), make_generation(alice, state=state), {"thumb": "up"})


def test_a_stopped_answer_can_be_judged_when_there_is_one(alice: User) -> None:
    judge(alice, make_generation(alice, state=State.CANCELLED, output="A bal"))
    with pytest.raises(GenerationNotJudgeable):
        judge(alice, make_generation(alice, state=State.CANCELLED, output=""))


def test_nobody_judges_somebody_elses_answer(alice: User, bob: User, visitor: uuid.UUID) -> None:
    generation = make_generation(alice)
    for actor in (Actor(user=bob), Actor(visitor=visitor), Actor()):
        with pytest.raises(PermissionDenied):
            submit_feedback(actor, generation, {"thumb": "up"})
    with pytest.raises(PermissionDenied):
        submit_feedback(Actor(), make_generation(visitor), {"thumb": "up"})


def test_a_change_based_on_an_older_version_is_refused(alice: User) -> None:
    actor = Actor(user=alice)
    generation = make_generation(alice)
    submit_feedback(actor, generation, {"thumb": "up"}, expected_version=0)
    submit_feedback(actor, generation, {"thumb": "down"}, expected_version=1)
    for expected in (0, 1, 3):
        with pytest.raises(VersionConflict):
            submit_feedback(actor, generation, {"thumb": "up"}, expected_version=expected)
    assert Submission.objects.get().values() == {"thumb": "down"}


def test_a_change_of_one_that_does_not_exist_is_refused(alice: User) -> None:
    with pytest.raises(VersionConflict):
        submit_feedback(Actor(user=alice), make_generation(alice), {"thumb": "up"}, expected_version=1)


def test_revising_keeps_what_is_not_named_and_none_takes_away(alice: User) -> None:
    submission = judge(alice, helpfulness=4, comment="Good.")
    revise_feedback(Actor(user=alice), submission.generation, {"helpfulness": 5, "comment": None})
    assert stored(submission) == {"thumb": "up", "helpfulness": 5}


def test_who_comes_second_to_the_same_first_judgement_changes_it(alice: User) -> None:
    """Two requests that both saw none: the unique constraint decides, and the second one becomes a change."""
    generation = make_generation(alice)
    first = judge(alice, generation, comment="first")
    with mock.patch.object(services.Giving, "existing", side_effect=[None, first]):
        second = submit_feedback(Actor(user=alice), generation, {"thumb": "down"})
    assert (second.pk, second.version) == (first.pk, 2)
    assert stored(second) == {"thumb": "down"}


def test_the_database_refuses_two_judgements_of_one_person_on_one_answer(alice: User, visitor: uuid.UUID) -> None:
    for submission in (judge(alice), judge(visitor)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Submission.on(
                submission.generation, submission.questionnaire, owner=submission.owner, visitor=submission.visitor
            ).save()


def test_withdrawing_leaves_a_tombstone_without_answers(alice: User) -> None:
    submission = judge(alice, comment="Secret after all.")
    withdraw_feedback(Actor(user=alice), submission.generation)
    tombstone = Submission.objects.get()
    assert tombstone.is_withdrawn
    assert tombstone.version == 2
    assert not Answer.objects.exists()


def test_withdrawing_twice_changes_nothing_more(alice: User) -> None:
    submission = judge(alice)
    first = withdraw_feedback(Actor(user=alice), submission.generation)
    again = withdraw_feedback(Actor(user=alice), submission.generation)
    assert (again.version, again.withdrawn_at) == (first.version, first.withdrawn_at)


def test_only_its_giver_withdraws_a_judgement(alice: User, bob: User) -> None:
    submission = judge(alice)
    with pytest.raises(Submission.DoesNotExist):
        withdraw_feedback(Actor(user=bob), submission.generation)
    assert not Submission.objects.get().is_withdrawn


def test_submitting_after_a_withdrawal_makes_it_live_again(alice: User) -> None:
    submission = judge(alice)
    withdraw_feedback(Actor(user=alice), submission.generation)
    again = judge(alice, submission.generation, helpfulness=5)
    assert (again.pk, again.version, again.is_withdrawn) == (submission.pk, 3, False)
    assert stored(again) == {"thumb": "up", "helpfulness": 5}


def test_judging_is_limited_per_minute(alice: User, settings: Any) -> None:
    settings.FEEDBACK_RATE = "2/minute"
    generation = make_generation(alice)
    judge(alice, generation)
    judge(alice, generation)
    with pytest.raises(LimitExceeded) as refusal:
        judge(alice, generation)
    assert 0 < refusal.value.retry_after_s <= 60


def test_a_visitor_who_signs_in_keeps_their_judgements(alice: User, visitor: uuid.UUID) -> None:
    submission = judge(visitor)
    visitor_became_user.send(sender=User, visitor=visitor, user=alice)
    submission.refresh_from_db()
    assert (submission.owner, submission.visitor) == (alice, None)


@pytest.mark.parametrize("newer", ["visitor's", "user's"])
def test_of_two_judgements_on_one_answer_the_newer_stays(alice: User, visitor: uuid.UUID, newer: str) -> None:
    generation = make_generation(alice)
    givers = {"owner": alice}, {"visitor": visitor}
    texts = ("user's", "visitor's")
    order = range(2) if newer == "visitor's" else (1, 0)
    for index in order:
        submission = Submission.on(generation, answer_questionnaire(), **givers[index])
        submission.save()
        comment = submission.questionnaire.questions.get(key="comment")
        Answer.of(submission, comment, texts[index]).save()
    visitor_became_user.send(sender=User, visitor=visitor, user=alice)
    remaining = Submission.objects.get(withdrawn_at=None)
    assert remaining.owner == alice
    superseded = Submission.objects.exclude(withdrawn_at=None).get()
    assert (superseded.owner, superseded.values(), superseded.is_only) == (alice, {}, False)
    assert remaining.values() == {"comment": newer}


def test_the_judgement_outlives_its_givers_account_without_their_name(alice: User, bob: User) -> None:
    generation = make_generation(bob)
    submission = Submission.on(generation, answer_questionnaire(), owner=alice)
    submission.save()
    alice.delete()
    submission.refresh_from_db()
    assert submission.owner is None


def test_a_change_moves_the_judgement_to_the_current_questionnaire(alice: User) -> None:
    submission = judge(alice)
    old = answer_questionnaire()
    new = Questionnaire.objects.create(slug=old.slug, version=2, title=old.title)
    for question in old.questions.all():
        question.pk, question.questionnaire = None, new
        question.save()
    with transaction.atomic():
        assert new.publish(timezone.now())
    changed = judge(alice, submission.generation, helpfulness=1)
    assert changed.questionnaire == new
    assert stored(changed) == {"thumb": "up", "helpfulness": 1}


def test_seeding_again_keeps_what_maintainers_made_of_it() -> None:
    Questionnaire.objects.update(title="Renamed")
    assert seed_questionnaires() is False
    assert answer_questionnaire().title == "Renamed"
