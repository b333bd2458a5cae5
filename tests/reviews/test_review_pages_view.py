"""The review pages: who sees them, what they show and keep back, and what they cost in queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import Answer, QuestionKind
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.models import TokenTrace
from portal.reviews.models import Review, ReviewItem, SavedView
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.items import list_items
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.verdicts import undo_verdict
from tests.conftest import signed_in
from tests.feedback.judgements import judge, make_generation
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db

GET_PAGES = ("queue", "guidelines")


@pytest.fixture
def item(alice: User) -> ReviewItem:
    return item_of(judge(alice, thumb="down", comment="The second arm is missing from this answer."))


@pytest.mark.parametrize("name", GET_PAGES)
def test_the_pages_exist_for_staff_alone(name: str, alice_client: Client, reviewer_client: Client) -> None:
    assert reviewer_client.get(reverse(f"reviews:{name}")).status_code == 200
    assert alice_client.get(reverse(f"reviews:{name}")).status_code == 404
    assert Client().get(reverse(f"reviews:{name}")).status_code == 404


@pytest.mark.parametrize("name", ["item", "claim", "skip", "renew", "verdict", "reopen", "gold"])
def test_an_item_does_not_exist_for_contributors_and_strangers(
    name: str, item: ReviewItem, alice_client: Client, visitor_client: Client
) -> None:
    for client in (alice_client, visitor_client, Client()):
        send = client.get if name == "item" else client.post
        assert send(reverse(f"reviews:{name}", args=[item.pk])).status_code == 404
    assert ReviewItem.objects.get().claim_number == 0


@pytest.mark.parametrize("name", ["claim", "skip", "renew", "verdict", "reopen", "gold"])
def test_what_changes_something_is_posted(name: str, item: ReviewItem, reviewer_client: Client) -> None:
    assert reviewer_client.get(reverse(f"reviews:{name}", args=[item.pk])).status_code == 405


@pytest.mark.parametrize("name", ["reopen", "gold"])
def test_what_maintainers_do_reviewers_do_not(name: str, item: ReviewItem, reviewer_client: Client) -> None:
    assert reviewer_client.post(reverse(f"reviews:{name}", args=[item.pk])).status_code == 404


def test_next_leads_to_an_item_with_its_form_and_the_verdict_to_the_next(
    alice: User, item: ReviewItem, reviewer: User, reviewer_client: Client
) -> None:
    second = item_of(judge(alice))
    page = reviewer_client.post(reverse("reviews:next"), follow=True)
    assert page.redirect_chain[-1][0].startswith(reverse("reviews:item", args=[item.pk]))
    assert "The second arm is missing" in page.text
    item.refresh_from_db()
    page = reviewer_client.post(
        reverse("reviews:verdict", args=[item.pk]),
        {"claim": item.claim_number, "verdict": "accept", "active_s": "0", "labels": ["bias"], "own.helpfulness": "2"},
        follow=True,
    )
    assert page.redirect_chain[-1][0].startswith(reverse("reviews:item", args=[second.pk]))
    review = Review.objects.get()
    assert (review.labels, review.answers, review.active_s) == (["bias"], {"helpfulness": 2}, 0)
    assert f"Undo your last verdict: Accept on #{item.pk}" in page.text


def test_a_refused_verdict_shows_again_what_was_sent(item: ReviewItem, reviewer: User, reviewer_client: Client) -> None:
    claim_next(reviewer)
    item.refresh_from_db()
    sent = {"claim": item.claim_number, "verdict": "reject", "note": "My long note"}
    page = reviewer_client.post(reverse("reviews:verdict", args=[item.pk]), sent)
    assert page.status_code == 422
    assert "My long note" in page.text
    assert "Why it is rejected: Say why" in page.text
    page = reviewer_client.post(reverse("reviews:verdict", args=[item.pk]), {**sent, "claim": 99})
    assert page.status_code == 409
    assert not Review.objects.exists()


def test_an_active_time_longer_than_the_claim_is_not_believed(
    item: ReviewItem, reviewer: User, reviewer_client: Client
) -> None:
    claim_next(reviewer)
    item.refresh_from_db()
    reviewer_client.post(
        reverse("reviews:verdict", args=[item.pk]),
        {"claim": item.claim_number, "verdict": "accept", "active_s": "5000"},
    )
    review = Review.objects.get()
    assert review.active_s == review.elapsed_s
    assert review.elapsed_s in range(60)


def test_reviewers_do_not_see_each_other_until_all_have_spoken(
    item: ReviewItem, reviewer: User, second_reviewer: User, third_reviewer: User
) -> None:
    give_verdict(reviewer, item, "reject", note="A note that must not be seen")
    address = reverse("reviews:item", args=[item.pk])
    for blind in (second_reviewer, third_reviewer):
        page = signed_in(blind).get(address).text
        assert "A note that must not be seen" not in page
        assert "unfounded" not in page
    assert "A note that must not be seen" in signed_in(reviewer).get(address).text, "it is their own"
    give_verdict(second_reviewer, item, "accept")
    assert "A note that must not be seen" in signed_in(third_reviewer).get(address).text, "who decides reads both"


def test_the_tokens_of_the_run_are_for_staff_and_gone_with_a_withdrawal(
    item: ReviewItem, alice: User, reviewer_client: Client, alice_client: Client
) -> None:
    generation = item.submission.generation
    assert generation is not None
    tokens = [{"id": 1, "text": " Balance\n", "logprob": -0.5, "channel": "answer", "top": []}]
    TokenTrace.objects.create(generation=generation, tokens=tokens)
    address = reverse("reviews:inside", args=[item.pk, 1])
    page = reviewer_client.get(address).text
    assert "␣Balance↵" in page
    assert "60.7" in page
    assert alice_client.get(address).status_code == 404
    assert reviewer_client.get(reverse("reviews:inside", args=[item.pk, 2])).status_code == 404
    withdraw_feedback(Actor(user=alice), generation)
    assert reviewer_client.get(address).status_code == 404


def test_undo_is_the_reviewers_own(item: ReviewItem, reviewer: User, second_reviewer: User) -> None:
    review = give_verdict(reviewer, item)
    address = reverse("reviews:undo", args=[review.pk])
    assert signed_in(second_reviewer).post(address).status_code == 404
    assert signed_in(reviewer).post(address).status_code == 302
    review.refresh_from_db()
    assert not review.is_live


def test_what_an_undone_verdict_said_is_in_the_form_again(
    item: ReviewItem, reviewer: User, second_reviewer: User
) -> None:
    note = "Names a ship; a steelyard is a balance."
    given = {"reason": "off-topic", "note": note, "labels": ("factual-error",), "answers": {"thumb": "down"}}
    review = give_verdict(reviewer, item, "reject", **given)
    page = signed_in(reviewer).post(reverse("reviews:undo", args=[review.pk]), follow=True).text
    assert f">{note}</textarea>" in page
    assert re.findall(r'name="labels" value="([a-z-]+)" checked', page) == ["factual-error"]
    assert '<option value="off-topic" selected>' in page
    assert 'name="own.thumb" value="down" checked' in page
    ReviewItem.objects.filter(pk=item.pk).update(claimed_by=second_reviewer)
    assert "</textarea>" not in signed_in(reviewer).get(item.get_absolute_url()).text
    theirs = signed_in(second_reviewer).get(item.get_absolute_url()).text
    assert note not in theirs
    assert "factual-error" in theirs
    assert 'value="factual-error" checked' not in theirs


def test_what_an_undone_verdict_said_of_an_earlier_text_is_not_in_the_form(item: ReviewItem, reviewer: User) -> None:
    review = give_verdict(reviewer, item, note="Of the first text.")
    undo_verdict(reviewer, review.pk)
    ReviewItem.objects.filter(pk=item.pk).update(submission_version=item.submission_version + 1)
    assert ">Of the first text.</textarea>" not in signed_in(reviewer).get(item.get_absolute_url()).text


def test_saved_views_are_kept_shared_and_forgotten(reviewer: User, second_reviewer: User) -> None:
    mine, theirs = signed_in(reviewer), signed_in(second_reviewer)
    mine.post(reverse("reviews:save_view"), {"name": "Bad ones", "filter.thumb": "down"})
    mine.post(reverse("reviews:save_view"), {"name": "German", "filter.language": "de", "is_shared": "on"})
    assert "thumb=down" in mine.get(reverse("reviews:queue")).text
    page = theirs.get(reverse("reviews:queue")).text
    assert "German" in page
    assert "Bad ones" not in page
    view = SavedView.objects.get(name="German")
    assert theirs.post(reverse("reviews:delete_view", args=[view.pk])).status_code == 404
    assert mine.post(reverse("reviews:delete_view", args=[view.pk])).status_code == 302


def test_the_list_pages_through_everything_once(alice: User, reviewer: User, reviewer_client: Client) -> None:
    items = [item_of(judge(alice)) for _ in range(7)]
    seen: list[int] = []
    cursor = ""
    while True:
        page = list_items(ItemReader(reviewer), QueueFilters(), cursor, per_page=3)
        seen += [each.pk for each in page.items]
        cursor = page.older
        if not cursor:
            break
    assert seen == [each.pk for each in reversed(items)]
    assert reviewer_client.get(reverse("reviews:queue"), {"before": "nonsense~x", "card": "9" * 40}).status_code == 200


def test_lists_cost_the_same_however_long(alice: User, reviewer_client: Client) -> None:
    def queries(path: str, **query: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert reviewer_client.get(path, query).status_code == 200
        return len(captured)

    for number in range(2):
        judge(alice, make_generation(alice, prompt=f"Prompt {number}"), comment="Some words about this answer")
    reviewer_client.get(reverse("reviews:queue"))
    few = queries(reverse("reviews:queue")), queries(reverse("reviews:queue"), state="waiting", thumb="up")
    for number in range(8):
        judge(alice, make_generation(alice, prompt=f"Prompt {number}"), comment="Some words about this answer")
    assert (queries(reverse("reviews:queue")), queries(reverse("reviews:queue"), state="waiting", thumb="up")) == few
    assert few[0] <= 22


def test_many_at_once_are_previewed_and_then_judged_one_by_one(
    alice: User, reviewer: User, second_reviewer: User, reviewer_client: Client
) -> None:
    waits, decides, judged, own = (item_of(judge(alice)) for _ in range(4))
    give_verdict(second_reviewer, decides)
    give_verdict(reviewer, judged)
    own.submission.owner = reviewer
    own.submission.save()
    sent = {"action": "verdict", "verdict": "accept", "item": [waits.pk, decides.pk, judged.pk, own.pk, 987_654]}
    page = reviewer_client.post(reverse("reviews:bulk"), sent).text
    for words in ("have all their verdicts then", "wait for another reviewer", "you judged them already", "your own"):
        assert words in page
    assert Review.objects.count() == 2, "a preview does nothing"
    reviewer_client.post(reverse("reviews:bulk"), {**sent, "confirmed": "1"})
    for item, state in ((waits, "waiting"), (decides, "decided"), (judged, "waiting"), (own, "waiting")):
        item.refresh_from_db()
        assert item.state == state
    assert Review.objects.filter(is_bulk=True).count() == 2


def test_quarantine_is_an_operators_and_can_be_undone(
    item: ReviewItem, reviewer_client: Client, operator_client: Client, alice_client: Client
) -> None:
    sent = {"action": "quarantine", "item": [item.pk]}
    assert alice_client.post(reverse("reviews:bulk"), sent).status_code == 404
    assert reviewer_client.post(reverse("reviews:bulk"), sent).status_code == 404
    assert "leave the queue" in operator_client.post(reverse("reviews:bulk"), sent).text
    for action, state in (("quarantine", "quarantined"), ("release", "waiting")):
        operator_client.post(reverse("reviews:bulk"), {**sent, "action": action, "confirmed": "1"})
        item.refresh_from_db()
        assert item.state == state


def test_a_bulk_rejection_without_a_reason_is_refused(item: ReviewItem, reviewer_client: Client) -> None:
    sent = {"action": "verdict", "verdict": "reject", "item": [item.pk]}
    for step in (sent, {**sent, "confirmed": "1"}):
        assert "Say why" in reviewer_client.post(reverse("reviews:bulk"), step, follow=True).text
    assert not Review.objects.exists()


def test_marked_passages_are_marked_in_the_answer_and_quoted(alice: User, reviewer_client: Client) -> None:
    generation = make_generation(alice, output="A *balance* <with> two arms.")
    submission = judge(alice, generation)
    question = submission.questionnaire.questions.get(kind=QuestionKind.SPANS)
    label = question.options["choices"][0]
    mark = {"start": 12, "end": 18, "quote": "<with>", "label": label["key"], "note": ""}
    of_another_answer = {**mark, "start": 0, "end": 4, "quote": "Beam"}
    Answer.of(submission, question, [mark, of_another_answer]).save()
    page = reviewer_client.get(item_of(submission).get_absolute_url()).text
    assert "<p>A <em>balance</em> <mark>&lt;with&gt;</mark> two arms.</p>" in page
    assert f"“&lt;with&gt;”: {label['label']}" in page


def test_who_has_not_taken_the_item_is_told_that_keys_of_verdicts_wait_for_that(
    item: ReviewItem, reviewer: User, reviewer_client: Client
) -> None:
    assert "data-take-first" in reviewer_client.get(item.get_absolute_url()).text
    claim_next(reviewer)
    assert "data-take-first" not in reviewer_client.get(item.get_absolute_url()).text


def test_an_item_is_offered_to_who_may_take_it_and_says_to_others_why_not(
    item: ReviewItem,
    reviewer: User,
    second_reviewer: User,
    third_reviewer: User,
    maintainer: User,
    operator_client: Client,
) -> None:
    def page(person: User) -> str:
        return signed_in(person).get(item.get_absolute_url()).text

    assert "Take this item" in page(reviewer)
    assert "Reviewers judge it." in operator_client.get(item.get_absolute_url()).text
    assert claim_item(second_reviewer, item)
    assert "Somebody is at it" in page(reviewer)
    give_verdict(second_reviewer, item)
    assert "You have judged it; it waits for another reviewer." in page(second_reviewer)
    queue = reverse("reviews:queue")
    assert "You judged it" in signed_in(second_reviewer).get(queue).text
    assert "You judged it" not in signed_in(reviewer).get(queue).text
    assert "Take this item" in page(third_reviewer)
    give_verdict(reviewer, item, "reject")
    assert "the verdicts differ; somebody who has not judged it decides" in page(reviewer)
    assert "Take this item" in page(third_reviewer)
    give_verdict(third_reviewer, item, "escalate")
    assert "a maintainer who has not judged it decides" in page(third_reviewer)
    assert "Take this item" in page(maintainer)
    give_verdict(maintainer, item)
    assert "It is decided." in page(reviewer)
    for person in (reviewer, third_reviewer):
        assert "Take this item" not in page(person)


def test_the_last_verdict_can_be_undone_from_the_queue(item: ReviewItem, reviewer_client: Client) -> None:
    assert reviewer_client.get(reverse("reviews:queue")).text.count("Undo your last verdict") == 0
    reviewer_client.post(reverse("reviews:next"))
    item.refresh_from_db()
    sent = {"claim": item.claim_number, "verdict": "accept"}
    page = reviewer_client.post(reverse("reviews:verdict", args=[item.pk]), sent, follow=True)
    assert page.redirect_chain[-1][0].startswith(reverse("reviews:queue")), "nothing else waits"
    assert f"Undo your last verdict: Accept on #{item.pk}" in page.text
    undo = reverse("reviews:undo", args=[Review.objects.get().pk])
    assert f'action="{undo}"' in page.text
    assert "Undone." in reviewer_client.post(undo, follow=True).text


def test_who_may_not_judge_is_offered_no_judging(item: ReviewItem, operator_client: Client) -> None:
    page = operator_client.get(reverse("reviews:queue"), {"state": "open"}).text
    for action in ("reviews:next", "reviews:save_view"):
        assert f'action="{reverse(action)}"' not in page
    assert 'name="action" value="verdict"' not in page
    assert 'name="action" value="quarantine"' in page
