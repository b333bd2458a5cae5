"""The history of gold: for who is measured, that of an item like any, without what others did to it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import Event, ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.verdicts import Superseded
from portal.reviews.queries.measuring import shown_events
from portal.reviews.queries.told_history import told_history
from portal.reviews.services.verdicts import reopen_item, revert_verdicts, undo_verdict
from portal.reviews.settling import Kind
from tests.conftest import signed_in
from tests.reviews.desk import give_verdict

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gold_is_given")]


def history_of(item: ReviewItem, person: User) -> str:
    """The list on its page."""
    page = signed_in(person).get(item.get_absolute_url()).text
    found = re.search(r'<ol class="review-history">.*?</ol>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_what_somebody_else_undid_of_gold_is_no_part_of_the_history(
    gold: ReviewItem, reviewer: User, operator: User, make_user: Callable[..., User]
) -> None:
    other = make_user("other", Role.REVIEWER)
    undo_verdict(other, give_verdict(other, gold).pk)
    gold.refresh_from_db()
    gold.release(other)
    mine = give_verdict(reviewer, gold)

    assert "other" not in history_of(gold, reviewer)
    assert "ndone" not in history_of(gold, reviewer)
    # Who is measured by nothing reads what is stored.
    assert "other" in history_of(gold, operator)
    assert "gold" in history_of(gold, operator).lower()
    undo_verdict(reviewer, mine.pk)
    [undone] = Event.objects.filter(action="undone", actor_id=reviewer.pk)
    assert undone.changes["kind"] == "gold"
    [shown] = shown_events(reviewer, [undone])
    assert shown.changes["kind"] == "independent"


def test_an_earlier_entry_that_does_not_say_the_role_reads_as_one_that_does(
    gold: ReviewItem, twin: ReviewItem, reviewer: User, operator: User, make_user: Callable[..., User]
) -> None:
    other = make_user("other", Role.REVIEWER)
    for item, person in ((gold, other), (gold, reviewer), (twin, reviewer)):
        review = give_verdict(person, ReviewItem.objects.get(pk=item.pk), "accept")
        review.supersede(Superseded.UNDONE)
        record_event(item, "undone", person, review=review.pk, verdict="accept")
        ReviewItem.objects.get(pk=item.pk).release(person)
    of_gold = Event.objects.filter(action="undone", target_id=str(gold.pk)).order_by("pk")
    assert [event.changes["kind"] for event in shown_events(operator, of_gold)] == ["gold", "gold"]
    [own] = shown_events(reviewer, of_gold)
    assert (own.actor_id, own.changes["kind"], own.changes["verdict"]) == (reviewer.pk, "independent", "accept")
    [plain] = shown_events(reviewer, Event.objects.filter(action="undone", target_id=str(twin.pk)))
    assert plain.changes["kind"] == "independent"
    # It reads in words, and a verdict that is there no longer leaves the entry as it is.
    [*_, told] = told_history(shown_events(operator, of_gold))
    assert {(each.label, each.words) for each in told.changes} == {("Role", Kind.GOLD.label), ("Verdict", "Accept")}
    nobodys = Event(target="reviews.reviewitem", action="undone", changes={"review": 10**9, "verdict": "accept"})
    assert shown_events(reviewer, [nobodys]) == [nobodys]


@pytest.mark.parametrize("cause", ["reopened", "reverted"])
def test_verdicts_set_aside_are_counted_without_those_that_measured_others(
    cause: str, gold: ReviewItem, reviewer: User, maintainer: User, operator: User, make_user: Callable[..., User]
) -> None:
    other = make_user("other", Role.REVIEWER)
    for person in (other, reviewer):
        give_verdict(person, ReviewItem.objects.get(pk=gold.pk))
    if cause == "reopened":
        assert reopen_item(maintainer, gold.pk)
        expected = {"stored": [4], "reviewer": [3], "other": [3]}
    else:
        for person in (other, reviewer):
            assert revert_verdicts(operator, person, gold.pk)
        expected = {"stored": [1, 1], "reviewer": [1], "other": [1]}
    events = Event.objects.filter(action=cause, target_id=str(gold.pk))
    for who, person in (("stored", operator), ("reviewer", reviewer), ("other", other)):
        shown = shown_events(person, events)
        assert [len(event.changes["reviews"]) for event in shown] == expected[who], who
    assert [event.changes for event in shown_events(maintainer, events)] == [event.changes for event in events]


def test_an_items_history_takes_no_more_queries_for_more_entries(
    gold: ReviewItem, maintainer: User, reviewer: User, second_reviewer: User
) -> None:
    def cost() -> int:
        events = list(Event.objects.filter(target_id=str(gold.pk), target="reviews.reviewitem"))
        with CaptureQueriesContext(connection) as queries:
            shown_events(second_reviewer, events)
        return len(queries)

    assert reopen_item(maintainer, gold.pk)
    before = cost()
    for _ in range(3):
        give_verdict(reviewer, ReviewItem.objects.get(pk=gold.pk))
        assert reopen_item(maintainer, gold.pk)
    assert cost() == before
