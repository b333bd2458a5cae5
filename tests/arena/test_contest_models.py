"""What the database itself keeps true of contests, comparisons and votes."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from portal.accounts.models import User
from portal.accounts.queries import deletion_summary
from portal.accounts.services import delete_account
from portal.accounts.signals import visitor_became_user
from portal.arena.models import Comparison, Contest, Kind, Outcome, Pool, VoidReason, Vote
from portal.arena.review_states import ReviewState
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from portal.playground.queries import list_conversations
from tests.arena.contests import compare, make_contest, make_vote
from tests.playground.turns import actor_of


def test_a_battle_has_one_comparison_and_a_comparison_one_vote(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    comparison = compare(contest)
    make_vote(comparison)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_vote(comparison, Outcome.B)
    with pytest.raises(IntegrityError), transaction.atomic():
        compare(contest, positions=(1, 0))


def test_side_by_side_compares_every_pair(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, [*variants, variants[0]], Kind.SIDE_BY_SIDE)
    for positions in ((0, 1), (0, 2), (1, 2)):
        compare(contest, positions=positions)
    with pytest.raises(IntegrityError), transaction.atomic():
        compare(contest, positions=(0, 2))


def test_a_blind_battles_conversations_are_nobodys_until_it_is_revealed(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    own = Conversation.objects.filter(actor_of(alice).owns())
    assert not own.exists()
    assert contest.reveal()
    assert own.count() == 2
    assert not list_conversations(actor_of(alice)).exists()
    contest.refresh_from_db()
    assert contest.sealed_as is None
    assert not contest.is_blind
    assert not contest.reveal()


def test_a_battle_that_went_over_to_who_signed_in_is_revealed_to_them(
    alice: User, visitor: uuid.UUID, variants: list[Variant]
) -> None:
    contest = make_contest(visitor, variants)
    vote = make_vote(compare(contest))
    visitor_became_user.send(sender=User, visitor=visitor, user=alice)
    assert contest.reveal()
    assert Conversation.objects.filter(owner=alice).count() == 2
    vote.refresh_from_db()
    assert (vote.owner, vote.visitor) == (alice, None)
    assert Comparison.objects.filter(owner=alice, visitor=None).count() == 1


def test_deleting_the_account_takes_the_texts_and_leaves_the_vote_without_a_name(
    alice: User, variants: list[Variant]
) -> None:
    blind = make_contest(alice, variants)
    voted = make_contest(alice, variants)
    vote = make_vote(compare(voted))
    voted.reveal()
    summary = deletion_summary(alice)
    assert ("comparisons and battles", 2) in summary.deleted
    assert ("votes", 1) in summary.kept_without_name
    delete_account(alice)
    assert not Contest.objects.filter(pk__in=[blind.pk, voted.pk]).exists()
    assert not Conversation.objects.exists()
    assert not Generation.objects.exists()
    vote.refresh_from_db()
    assert (vote.comparison, vote.owner, vote.visitor, vote.outcome) == (None, None, None, Outcome.A)


def test_a_contest_goes_with_the_first_of_its_conversations(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    Conversation.objects.filter(contender__contest=contest, contender__position=1).get().delete()
    assert not Contest.objects.exists()
    assert not Conversation.objects.exists()


def test_reviewers_and_operators_change_what_is_ranked(alice: User, variants: list[Variant]) -> None:
    vote = make_vote(compare(make_contest(alice, variants)))
    before = vote.changed_at
    assert vote.is_ranked
    assert vote.record_review(ReviewState.REJECTED)
    assert not vote.record_review(ReviewState.REJECTED)
    assert not vote.is_ranked
    assert vote.record_review(ReviewState.ACCEPTED)
    assert vote.void(VoidReason.NAME_IN_ANSWER)
    assert not vote.void(VoidReason.OPERATOR)
    assert not vote.count_again()
    vote.refresh_from_db()
    assert vote.void_reason == VoidReason.NAME_IN_ANSWER
    assert vote.changed_at > before


def test_a_migrated_database_has_the_pools(db: None) -> None:
    assert [(pool.slug, pool.is_automatic) for pool in Pool.objects.all()] == [("models", True), ("precisions", True)]
    assert not Vote.objects.exists()
