"""No sequence of verdicts, claims, edits, withdrawals and undos reaches an illegal state or loses a verdict: of
submissions and of votes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, Sum
from hypothesis import HealthCheck
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.models import Outcome
from portal.arena.voting import vote_on_battle
from portal.arena.withdrawing import withdraw_vote
from portal.feedback.models import ReviewState, Submission
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.models import ContributorRecord, DailyCount, Event, Inquiry, QueuePolicy, Review, ReviewItem
from portal.reviews.services.bulk import quarantine
from portal.reviews.services.claims import claim_next
from portal.reviews.services.entering import answer_inquiry
from portal.reviews.services.verdicts import (
    ClaimLost,
    Judgement,
    UndoRefused,
    record_verdict,
    reopen_item,
    undo_verdict,
)
from portal.reviews.settling import CLAIMABLE_STATES, ItemState, settle
from tests.arena.contests import make_contest
from tests.feedback.judgements import make_generation
from tests.playground.turns import make_variant

REVIEWERS = st.integers(0, 3)
ITEMS = st.integers(0, 4)
VERDICTS = st.sampled_from(["accept", "accept", "reject", "spam", "question", "escalate"])


class ReviewMachine(RuleBasedStateMachine):
    """Three submissions, two votes, two reviewers who agree or not, a third, and a maintainer who also contributed."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        QueuePolicy.objects.update(gold_percent=0)
        self.contributor = User.objects.create_user("contributor")
        self.reviewers = [User.objects.create_user(name) for name in ("one", "two", "three", "chief")]
        for each in self.reviewers:
            role = Role.MAINTAINER if each.username == "chief" else Role.REVIEWER
            each.groups.add(Group.objects.get(name=role.value))
        self.generations = [make_generation(owner) for owner in (self.contributor, self.contributor, self.reviewers[3])]
        self.claims: dict[int, tuple[int, int]] = {}
        self.recorded = 0
        for generation in self.generations:
            self.give(generation, "up")
        variants = [make_variant("smol/one"), make_variant("smol/two")]
        self.contests = [make_contest(owner, variants) for owner in (self.contributor, self.reviewers[3])]
        for contest in self.contests:
            vote_on_battle(Actor(user=contest.owner), contest, Outcome.A)

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    def give(self, generation: Any, thumb: str) -> None:
        actor = Actor(user=generation.conversation.owner)
        submission = Submission.objects.filter(generation=generation).first()
        if submission is None or submission.may_be_changed or submission.is_withdrawn:
            submit_feedback(actor, generation, {"thumb": thumb})

    @rule(who=REVIEWERS)
    def claims_the_next(self, who: int) -> None:
        item = claim_next(self.reviewers[who])
        if item is not None:
            assert item.subject.owner_id != self.reviewers[who].pk
            self.claims[who] = (item.pk, item.claim_number)

    @rule(who=REVIEWERS, verdict=VERDICTS)
    def judges_what_was_claimed(self, who: int, verdict: str) -> None:
        if who not in self.claims:
            return
        item_id, number = self.claims[who]
        judgement = Judgement(verdict, reason="unclear" if verdict == "reject" else "", note="Why?")
        before = Review.objects.count()
        try:
            review = record_verdict(self.reviewers[who], item_id, number, judgement)
        except ClaimLost:
            assert Review.objects.count() == before
        else:
            self.recorded += Review.objects.count() - before
            assert review.reviewer_id == self.reviewers[who].pk

    @rule(who=REVIEWERS)
    def undoes_the_last(self, who: int) -> None:
        last = Review.objects.filter(reviewer=self.reviewers[who]).last()
        if last is not None:
            with contextlib.suppress(UndoRefused):
                undo_verdict(self.reviewers[who], last.pk)

    @rule(which=st.integers(0, 2), thumb=st.sampled_from(["up", "down"]))
    def gives_or_changes(self, which: int, thumb: str) -> None:
        self.give(self.generations[which], thumb)

    @rule(which=ITEMS)
    def withdraws(self, which: int) -> None:
        if which > 2:
            contest = self.contests[which - 3]
            withdraw_vote(Actor(user=contest.owner), contest, 1)
            return
        generation = self.generations[which]
        withdraw_feedback(Actor(user=generation.conversation.owner), generation)

    @precondition(lambda self: Inquiry.objects.filter(answered_at=None).exists())
    @rule()
    def answers_a_question(self) -> None:
        inquiry = Inquiry.objects.filter(answered_at=None).last()
        assert inquiry is not None
        answer_inquiry(inquiry.item.subject, inquiry, "Because.")

    @rule(which=ITEMS, release=st.booleans())
    def is_quarantined_or_let_out(self, which: int, release: bool) -> None:
        quarantine(self.reviewers[3], [self._item(which).pk], release=release)

    @rule(which=ITEMS)
    def is_reopened(self, which: int) -> None:
        reopen_item(self.reviewers[3], self._item(which).pk)

    @rule(who=REVIEWERS)
    def lets_the_claim_run_out(self, who: int) -> None:
        ReviewItem.objects.filter(claimed_by=self.reviewers[who]).update(claim_expires_at="2020-01-01T00:00Z")

    def _item(self, which: int) -> ReviewItem:
        if which > 2:
            return ReviewItem.objects.get(vote__comparison__contest=self.contests[which - 3])
        return ReviewItem.objects.get(submission__generation=self.generations[which])

    @invariant()
    def every_item_is_what_its_verdicts_say(self) -> None:
        if not hasattr(self, "recorded"):
            return
        for item in ReviewItem.objects.select_related("submission", "vote"):
            subject = item.subject
            expected = settle(
                item.live_verdicts(),
                item.needed,
                is_withdrawn=subject.is_withdrawn,
                is_quarantined=item.is_quarantined,
            )
            assert (item.state, item.outcome, item.verdict_count) == (
                expected.state,
                expected.outcome,
                expected.verdicts,
            )
            assert item.is_claimable is (item.state in CLAIMABLE_STATES)
            assert item.submission_version == subject.version or subject.is_withdrawn
            if subject.is_withdrawn:
                assert item.state == ItemState.WITHDRAWN
            else:
                is_decided = subject.review_state in {"accepted", "rejected", "duplicate", "spam"}
                assert is_decided is (item.state == ItemState.DECIDED), (subject.review_state, item.state)
                assert (subject.review_state == ReviewState.NEEDS_INFORMATION) is (item.state == ItemState.QUESTION)

    @invariant()
    def no_verdict_is_lost_and_nothing_counts_twice(self) -> None:
        if not hasattr(self, "recorded"):
            return
        assert Review.objects.count() == self.recorded
        assert Event.objects.filter(action="verdict").count() == self.recorded
        chief = self.reviewers[3].pk
        own = Q(item__submission__owner_id=chief) | Q(item__vote__owner_id=chief)
        assert not Review.objects.filter(own, reviewer_id=chief)
        decided = DailyCount.objects.exclude(flow="entered").aggregate(n=Sum("count"))["n"] or 0
        totals = ContributorRecord.objects.aggregate(
            n=Sum("accepted") + Sum("rejected") + Sum("duplicates") + Sum("spam")
        )
        assert decided == (totals["n"] or 0)
        assert decided >= ReviewItem.objects.filter(state=ItemState.DECIDED).count()


@pytest.mark.django_db
def test_no_sequence_reaches_an_illegal_state(settings: Any) -> None:
    settings.FEEDBACK_RATE = settings.VOTE_RATE = "100000/minute"
    run_state_machine_as_test(
        ReviewMachine,
        settings=run_settings(
            max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert not User.objects.filter(username="chief").exists(), "each run is rolled back"
