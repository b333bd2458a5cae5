"""Where fewer people may review than have to: pages say so to who can change it; what waits can follow the rules."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import DailyCount, Event, Notice, QueuePolicy, ReviewItem
from portal.reviews.services.claims import claim_item
from portal.reviews.settling import ItemState
from tests.conftest import signed_in
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
RULES, APPLY, QUEUE = reverse("reviews:rules"), reverse("reviews:apply_rules"), reverse("reviews:queue")
PEOPLE = reverse("admin:accounts_user_changelist")


def ask_for(number: int) -> None:
    QueuePolicy.objects.filter(is_current=True).update(needed_reviews=number)


def test_a_lone_administrator_reads_why_nothing_is_decided_and_what_to_do(
    superuser: User, superuser_client: Client, alice: User
) -> None:
    item = item_of(judge(alice))
    for address in (QUEUE, item.get_absolute_url()):
        page = superuser_client.get(address).text
        assert "only one account may" in page
        assert f'href="{PEOPLE}"' in page
        assert f'href="{RULES}#id_needed_reviews"' in page
    ask_for(1)
    page = superuser_client.get(QUEUE).text
    assert f'href="{RULES}#waiting"' in page, "the rule is met by now, and the item waits for two all the same"
    superuser_client.post(APPLY, {"needed": "1"})
    for address in (QUEUE, item.get_absolute_url()):
        assert "review-shortage" not in superuser_client.get(address).text


def test_it_is_said_to_those_who_can_change_it_and_while_it_is_so(
    reviewer: User, reviewer_client: Client, maintainer_client: Client, alice: User
) -> None:
    ask_for(3)
    judge(alice)
    assert "review-shortage" not in reviewer_client.get(QUEUE).text
    page = maintainer_client.get(QUEUE).text
    assert "Three people must judge each item, and only two accounts may review." in page
    assert PEOPLE not in page, "roles are an operator's to give"
    ask_for(2)
    item = item_of(judge(alice))
    ReviewItem.objects.exclude(pk=item.pk).delete()
    assert "review-shortage" not in maintainer_client.get(QUEUE).text
    User.objects.filter(pk=reviewer.pk).update(is_active=False)
    assert "review-shortage" in maintainer_client.get(QUEUE).text


def test_nobody_counts_as_a_reviewer_of_their_own(superuser: User, superuser_client: Client) -> None:
    ask_for(1)
    item = item_of(judge(superuser))
    page = superuser_client.get(item.get_absolute_url()).text
    assert "no account but its contributor" in page
    assert "#id_needed_reviews" not in page, "that would not help"
    assert f'href="{PEOPLE}"' in page
    assert "review-shortage" not in superuser_client.get(QUEUE).text


def test_the_new_number_is_previewed_and_then_decides_what_has_its_verdicts(
    maintainer: User, maintainer_client: Client, reviewer: User, alice: User
) -> None:
    judged, fresh = item_of(judge(alice)), item_of(judge(alice))
    give_verdict(reviewer, judged)
    assert 'id="waiting"' not in maintainer_client.get(RULES).text
    values = {
        "enter_all": "on",
        "sample_percent": "0",
        "needed_reviews": "1",
        "lease_minutes": "15",
        "gold_percent": "0",
    }
    saved = maintainer_client.post(RULES, values)
    assert saved["Location"] == f"{RULES}#waiting"
    page = " ".join(html.unescape(maintainer_client.get(RULES).text).split())
    assert "2 items wait for another number of reviewers" in page
    assert "1 has all its verdicts then" in page
    assert "Apply it to 2 waiting items" in page
    judged.refresh_from_db()
    assert judged.state == ItemState.WAITING, "a preview changes nothing"

    maintainer_client.post(APPLY, {"needed": "1"})
    judged.refresh_from_db()
    fresh.refresh_from_db()
    assert (judged.state, judged.outcome, judged.needed) == (ItemState.DECIDED, "accept", 1)
    assert (fresh.state, fresh.needed) == (ItemState.WAITING, 1)
    assert DailyCount.objects.get(flow="accept").count == 1
    assert Notice.objects.get().owner == alice
    changes = Event.objects.filter(target="reviews.reviewitem", action="changed", actor_id=maintainer.pk)
    assert [event.changes for event in changes] == [{"needed": [2, 1]}] * 2
    assert "Reviewers needed" in maintainer_client.get(judged.get_absolute_url()).text
    assert 'id="waiting"' not in maintainer_client.get(RULES).text


def test_what_somebody_reads_is_not_decided_under_their_hands_and_who_holds_an_item_keeps_it(
    maintainer_client: Client, reviewer: User, second_reviewer: User, make_user: Callable[..., User], alice: User
) -> None:
    judged, fresh = item_of(judge(alice)), item_of(judge(alice))
    give_verdict(reviewer, judged)
    assert claim_item(second_reviewer, judged)
    other = make_user("other", Role.REVIEWER)
    assert claim_item(other, fresh)
    ask_for(1)
    page = maintainer_client.post(APPLY, {"needed": "1"}, follow=True).text
    assert "1 was left, because somebody is at it right now." in html.unescape(page)
    judged.refresh_from_db()
    fresh.refresh_from_db()
    assert (judged.state, judged.needed) == (ItemState.WAITING, 2)
    assert judged.is_held_by(second_reviewer)
    assert fresh.needed == 1
    assert fresh.is_held_by(other)


def test_a_number_that_the_rules_do_not_ask_for_is_not_applied(
    maintainer_client: Client, reviewer_client: Client, alice: User
) -> None:
    item = item_of(judge(alice))
    ask_for(3)
    for sent in ("1", "", "x"):
        assert "nothing was done" in maintainer_client.post(APPLY, {"needed": sent}, follow=True).text
    assert reviewer_client.post(APPLY, {"needed": "3"}).status_code == 404
    assert maintainer_client.get(APPLY).status_code == 405
    item.refresh_from_db()
    assert item.needed == 2


def test_two_who_disagree_with_no_third_read_what_it_waits_for_and_what_to_do(
    reviewer: User, superuser: User, superuser_client: Client, alice: User, make_user: Callable[..., User]
) -> None:
    item, other = item_of(judge(alice)), item_of(judge(alice))
    give_verdict(reviewer, item, "accept")
    give_verdict(superuser, item, "reject")
    give_verdict(reviewer, other)
    for address in (QUEUE, item.get_absolute_url()):
        page = superuser_client.get(address).text
        assert "no account may take" in page if address == QUEUE else "there is no such account" in page
        assert f'href="{PEOPLE}"' in page
        assert f'href="{RULES}#id_needed_reviews"' in page
    assert f'<a href="{item.get_absolute_url()}">#{item.pk}</a>' in superuser_client.get(QUEUE).text
    assert "review-shortage" not in superuser_client.get(other.get_absolute_url()).text
    assert "review-shortage" not in signed_in(reviewer).get(item.get_absolute_url()).text, "they can change nothing"
    # What it says helps: set aside and under a rule of one, the first verdict decides.
    superuser_client.post(reverse("reviews:reopen", args=[item.pk]))
    ask_for(1)
    superuser_client.post(APPLY, {"needed": "1"})
    item.refresh_from_db()
    give_verdict(reviewer, item)
    assert item.state == ItemState.DECIDED


def test_a_third_account_ends_it_unless_the_item_is_its_own(
    reviewer: User, superuser: User, superuser_client: Client, make_user: Callable[..., User]
) -> None:
    contributor = make_user("both", Role.REVIEWER)
    item = item_of(judge(contributor))
    give_verdict(reviewer, item, "accept")
    give_verdict(superuser, item, "reject")
    assert "there is no such account" in superuser_client.get(item.get_absolute_url()).text
    third = make_user("third", Role.REVIEWER)
    for address in (QUEUE, item.get_absolute_url()):
        assert "review-shortage" not in superuser_client.get(address).text
    give_verdict(third, item)
    assert item.state == ItemState.DECIDED


def test_what_the_only_maintainer_escalated_waits_for_another_maintainer(
    reviewer: User, maintainer: User, maintainer_client: Client, operator: User, alice: User
) -> None:
    item = item_of(judge(alice))
    give_verdict(maintainer, item, "escalate")
    page = maintainer_client.get(item.get_absolute_url()).text
    assert "a maintainer who neither judged nor gave it decides, and there is none" in page
    assert "Ask an operator to give another account the role of a maintainer." in page
    assert f'href="{PEOPLE}"' in signed_in(operator).get(item.get_absolute_url()).text
    assert "#id_needed_reviews" not in page, "that would not help"
