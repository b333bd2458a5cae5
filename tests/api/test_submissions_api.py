"""Submissions about everything over REST: given, checked for personal data, changed, withdrawn; other people's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import Scope, User
from portal.arena.models import Kind
from portal.feedback.models import Campaign, Questionnaire, ReviewState, Submission
from portal.playground.models import TokenTrace
from tests.arena.contests import compare, make_contest
from tests.catalog.shelf import make_card
from tests.feedback.judgements import branch_from, judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
URL, CHECK, MINE = (reverse(f"api:{name}") for name in ("submission-list", "submission-check", "contribution-list"))
ASKED = reverse("api:inquiry-list")
JSON = "application/json"


@pytest.fixture
def writer(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ, Scope.SUBMIT)


def answers_to(slug: str) -> dict[str, Any]:
    """The least that this questionnaire takes."""
    asked = Questionnaire.objects.get(slug=slug, is_current=True).questions.filter(is_required=True, show_if={})
    return {question.key: least(question) for question in asked}


def least(question: Any) -> Any:
    choices = [choice["key"] for choice in question.options.get("choices", ())]
    match question.kind:
        case "rating":
            return question.options["min"]
        case "choices":
            return choices[:1]
        case "text":
            return "Some words."
        case "yes_no":
            return "yes"
        case _:
            return choices[0]


def give(client: Client, status: int = 201, **body: Any) -> Any:
    response = client.post(URL, body, JSON)
    assert response.status_code == status, response.content
    return response


def test_a_report_on_an_answer_is_given_read_changed_and_withdrawn(writer: Client, alice: User) -> None:
    run = make_generation(alice)
    made = give(writer, generation=str(run.pk), questionnaire="harm-report", answers=answers_to("harm-report"))
    row = made.json()
    assert (row["target"], row["questionnaire"], row["generation"]) == ("generation", "harm-report", str(run.pk))
    read = writer.get(made["Location"])
    assert (read.json(), read["ETag"]) == (row, made["ETag"])
    assert writer.get(made["Location"], headers={"If-None-Match": read["ETag"]}).status_code == 304
    change = {"answers": {}, "consent": "review"}
    changed = writer.patch(made["Location"], change, JSON, headers={"If-Match": read["ETag"]})
    assert (changed.status_code, changed.json()["consent"], changed.json()["version"]) == (200, "review", 2)
    stale = writer.patch(
        made["Location"], {"answers": {}, "consent": "publish"}, JSON, headers={"If-Match": read["ETag"]}
    )
    assert (stale.status_code, stale.json()["type"]) == (412, "/api/problems/#precondition-failed")
    assert writer.patch(made["Location"], {"answers": {}, "version": 1}, JSON).status_code == 409
    assert writer.delete(made["Location"], headers={"If-Match": read["ETag"]}).status_code == 412
    assert writer.delete(made["Location"], headers={"If-Match": changed["ETag"]}).status_code == 204
    assert {writer.get(made["Location"]).status_code, writer.delete(made["Location"]).status_code} == {410}
    again = give(writer, 200, generation=str(run.pk), questionnaire="harm-report", answers=answers_to("harm-report"))
    assert again.json()["id"] == row["id"]


def test_corrections_marks_and_better_tokens_are_answers(writer: Client, alice: User) -> None:
    run = make_generation(alice, output="A ship, I think.")
    token = {"id": 1, "text": "A", "logprob": -0.1, "top": [{"id": 1, "text": "A"}, {"id": 2, "text": "The"}]}
    TokenTrace.objects.create(generation=run, tokens=[token])
    keys = {
        each.kind: each for each in Questionnaire.objects.get(slug="answer-quality", is_current=True).questions.all()
    }
    label = keys["spans"].options["choices"][0]["key"]
    answers = {
        "thumb": "down",
        keys["correction"].key: "A balance.",
        keys["spans"].key: [{"quote": "ship", "label": label}],
        keys["token"].key: [{"index": 0, "alternative": 2}],
    }
    row = give(writer, generation=str(run.pk), answers=answers).json()
    assert row["answers"][keys["correction"].key] == "A balance."
    assert row["answers"][keys["spans"].key][0]["start"] == 2
    assert row["answers"][keys["token"].key][0]["alternative_text"] == "The"


def test_which_version_is_better_needs_two_versions(writer: Client, alice: User) -> None:
    run = make_generation(alice)
    branch = branch_from(run, output="Another one.")
    body = {"questionnaire": "token-choice", "answers": {"better": "branch"}}
    give(writer, 404, generation=str(run.pk), **body)
    address = give(writer, generation=str(branch.pk), **body)["Location"]
    changed = writer.patch(address, {"answers": {"better": "tie"}}, JSON)
    assert changed.json()["answers"] == {"better": "tie"}


def test_a_card_is_reported_several_times_and_none_is_changed(writer: Client) -> None:
    make_card()
    slug = Questionnaire.objects.filter(on_cards=True, is_current=True).values_list("slug", flat=True)[0]
    body = {"card": "acme/tiny", "questionnaire": slug, "answers": answers_to(slug)}
    one, two = give(writer, **body), give(writer, **body)
    assert one.json()["id"] != two.json()["id"]
    refused = writer.patch(one["Location"], {"answers": {}}, JSON)
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/problems/#cannot-be-changed")
    give(writer, 404, **{**body, "card": "acme/none"})


def test_a_comparison_is_judged_by_whose_it_is(
    writer: Client, alice: User, bob: User, token_client: Callable[..., Client]
) -> None:
    comparison, blind = (
        compare(make_contest(alice, [make_variant("a/a"), make_variant("b/b")], kind))
        for kind in (Kind.SIDE_BY_SIDE, Kind.BATTLE)
    )
    body = {"comparison": str(comparison.pk), "questionnaire": "comparison", "answers": answers_to("comparison")}
    address = give(writer, **body)["Location"]
    assert writer.patch(address, {"answers": {}, "consent": "quote"}, JSON).json()["consent"] == "quote"
    give(token_client(bob, Scope.SUBMIT), 404, **body)
    # Before the vote a battle tells no names, and nothing is said about it.
    give(writer, 404, **{**body, "comparison": str(blind.pk)})


def test_a_campaign_is_answered_in_its_terms_and_until_its_end(writer: Client, alice: User) -> None:
    campaign = Campaign.objects.filter(is_published=True, is_once=True)[0]
    body = {"campaign": campaign.slug, "answers": answers_to(campaign.questionnaire.slug), "consent": "quote"}
    made = give(writer, **body, language="en")
    assert (made.json()["campaign"], made.json()["consent"]) == (campaign.slug, "quote")
    assert give(writer, 200, campaign=campaign.slug, answers=body["answers"]).json()["consent"] == "quote"
    refused = give(writer, 400, **body, language="xx")
    assert refused.json()["errors"][0]["pointer"] == "/language"
    now = timezone.now()
    past = {"opens_at": now - timedelta(days=1), "closes_at": now - timedelta(seconds=1)}
    Campaign.objects.filter(pk=campaign.pk).update(**past)
    for response in (give(writer, 409, **body), writer.patch(made["Location"], {"answers": {}}, JSON)):
        assert (response.status_code, response.json()["type"]) == (409, "/api/problems/#closed")


def test_what_looks_like_personal_data_is_refused_kept_or_replaced_as_its_writer_says(
    writer: Client, alice: User
) -> None:
    run = make_generation(alice)
    body = {"generation": str(run.pk), "answers": {"thumb": "up", "comment": "Ask ada@example.org."}}
    refused = give(writer, 422, **body)
    assert refused.json()["type"] == "/api/problems/#personal-data"
    assert refused.json()["errors"][0]["pointer"] == "/answers/comment"
    assert refused.json()["personal_data"][0]["text"] == "ada@example.org"
    assert not Submission.objects.exists()

    checked = writer.post(CHECK, body, JSON).json()
    assert checked["answers"]["comment"] == "Ask ada@example.org."
    assert checked["redacted"]["comment"] == "Ask [email]."
    assert [(each["kind"], each["start"], each["end"]) for each in checked["personal_data"]] == [("email", 4, 19)]
    assert not Submission.objects.exists()

    made = give(writer, **body, personal_data="redact")
    assert made.json()["answers"]["comment"] == "Ask [email]."
    change = {"answers": {"comment": "Or bob@example.org."}}
    assert writer.patch(made["Location"], change, JSON).status_code == 422
    kept = writer.patch(made["Location"], {**change, "personal_data": "keep"}, JSON)
    assert kept.json()["answers"]["comment"] == "Or bob@example.org."


def test_the_check_refuses_what_giving_would_refuse(writer: Client, alice: User) -> None:
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up", "helpfulness": 9}}
    response = writer.post(CHECK, body, JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/answers/helpfulness")


def test_a_check_under_a_key_is_of_one_body_and_a_refused_one_leaves_the_key_unused(
    writer: Client, alice: User
) -> None:
    run = str(make_generation(alice).pk)
    under_key: dict[str, Any] = {"content_type": JSON, "headers": {"Idempotency-Key": "checking"}}
    refused = writer.post(CHECK, {"generation": run, "answers": {"helpfulness": 9}}, **under_key)
    assert refused.status_code == 400
    first, again = (writer.post(CHECK, {"generation": run, "answers": {"thumb": "up"}}, **under_key) for _ in range(2))
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (200, 200)
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    other = writer.post(CHECK, {"generation": run, "answers": {"thumb": "down"}}, **under_key)
    assert (other.status_code, other.json()["type"]) == (422, "/api/problems/#idempotency-key-reused")


def test_a_check_under_a_key_has_read_all_before_it_writes(writer: Client, alice: User) -> None:
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up", "comment": "Ask ada@example.org."}}
    with CaptureQueriesContext(connection) as queries:
        checked = writer.post(CHECK, body, JSON, headers={"Idempotency-Key": "checking"})
    assert checked.json()["personal_data"]
    # Others cannot write while a transaction is open, so that it must not look for personal data.
    begin = next(number for number, each in enumerate(queries.captured_queries) if each["sql"].startswith("SAVEPOINT"))
    within = [each["sql"] for each in queries.captured_queries[begin:]]
    assert not [sql for sql in within if "playground_generation" in sql or "feedback_question" in sql]
    assert [sql for sql in within if "api_idempotencykey" in sql]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"answers": {}}, "/generation"),
        ({"answers": {}, "card": "acme/tiny", "campaign": "one"}, "/card"),
        ({"answers": {}, "card": "acme/tiny"}, "/questionnaire"),
        ({"answers": [], "card": "acme/tiny"}, "/answers"),
        ({"answers": {}, "card": "acme"}, "/card"),
        ({"answers": {}, "card": 5}, "/card"),
        ({"answers": {}, "card": "acme/tiny", "personal_data": "sell"}, "/personal_data"),
        ({"answers": {}, "card": "acme/tiny", "title": "x"}, "/title"),
    ],
)
def test_a_bad_body_is_a_400_that_points_at_it(writer: Client, body: dict[str, Any], pointer: str) -> None:
    make_card()
    response = give(writer, 400, **body)
    assert pointer in {error["pointer"] for error in response.json()["errors"]}


def test_a_submission_given_under_a_key_is_given_once(writer: Client) -> None:
    make_card()
    slug = Questionnaire.objects.filter(on_cards=True, is_current=True).values_list("slug", flat=True)[0]
    body = {"card": "acme/tiny", "questionnaire": slug, "answers": answers_to(slug)}
    first, again = (writer.post(URL, body, JSON, headers={"Idempotency-Key": "lost"}) for _ in range(2))
    assert first.json() == again.json()
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert Submission.objects.count() == 1


def test_what_was_reviewed_is_withdrawn_and_not_changed(writer: Client, alice: User) -> None:
    submission = judge(alice)
    address = reverse("api:submission-detail", args=[submission.pk])
    assert submission.move_review(list(ReviewState), ReviewState.ACCEPTED)
    refused = writer.patch(address, {"answers": {"thumb": "down"}}, JSON)
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/problems/#already-reviewed")
    assert writer.delete(address).status_code == 204


def test_other_peoples_are_read_when_published_and_never_written(
    token_client: Callable[..., Client], alice: User, bob: User, client: Client
) -> None:
    submission = judge(alice)
    address = reverse("api:submission-detail", args=[submission.pk])
    other = token_client(bob, Scope.READ, Scope.SUBMIT)
    assert other.get(address).status_code == 200
    assert other.patch(address, {"answers": {}}, JSON).status_code == 404
    assert other.delete(address).status_code == 404
    assert token_client(bob, Scope.SUBMIT).get(address).status_code == 404
    Submission.objects.update(consent="review")
    assert other.get(address).status_code == 404
    assert other.get(URL).json()["results"] == []
    body = {"generation": str(submission.generation_id), "answers": {"thumb": "up"}}
    assert other.post(URL, body, JSON).status_code == 404
    assert other.post(CHECK, body, JSON).status_code == 404
    assert {client.get(address).status_code, client.post(URL, body, JSON).status_code} == {401}
    assert other.get(MINE).json()["results"] == []


def test_the_list_has_every_kind_once_while_others_arrive(writer: Client, alice: User, bob: User) -> None:
    make_card()
    slug = Questionnaire.objects.filter(on_cards=True, is_current=True).values_list("slug", flat=True)[0]
    judge(bob)
    give(writer, card="acme/tiny", questionnaire=slug, answers=answers_to(slug))
    first = writer.get(URL, {"limit": 1}).json()
    judge(alice)
    rows = first["results"] + writer.get(first["next"].replace("limit=1", "limit=1000")).json()["results"]
    assert [row["target"] for row in rows] == ["generation", "card", "generation"]
    assert [row["target"] for row in writer.get(URL, {"target": "card", "fields": "target"}).json()["results"]] == [
        "card"
    ]
    assert writer.get(URL, {"target": "dog"}).json()["errors"][0]["parameter"] == "target"


def test_my_contributions_say_where_each_stands(writer: Client, alice: User, bob: User) -> None:
    judge(bob)
    kept, gone = judge(alice, comment="Mine."), judge(alice)
    kept.move_review(list(ReviewState), ReviewState.NEEDS_INFORMATION, "Which one?")
    gone.withdraw(timezone.now())
    first, second = writer.get(MINE).json()["results"]
    assert (first["review_state"], first["review_reason"], first["may_be_changed"]) == (
        "needs_information",
        "Which one?",
        True,
    )
    assert (second["withdrawn_at"] is not None, second["answers"], second["may_be_changed"]) == (True, {}, False)
    narrowed = writer.get(MINE, {"review_state": "needs_information", "fields": "id"}).json()["results"]
    assert narrowed == [{"id": str(kept.pk)}]
    assert writer.get(MINE, {"limit": 1}).json()["next"]


def test_what_reviewers_ask_is_read_and_answered_once_by_who_gave_it(
    writer: Client, alice: User, reviewer: User, bob_client: Client, client: Client
) -> None:
    submission = judge(alice, comment="One of them is wrong.")
    give_verdict(reviewer, item_of(submission), "question", note="Which one?")
    [asked] = writer.get(ASKED).json()["results"]
    assert (asked["submission"], asked["question"], asked["answered_at"]) == (str(submission.pk), "Which one?", None)
    address = reverse("api:inquiry-answer", args=[asked["id"]])
    assert (client.get(ASKED).status_code, client.post(address, {"answer": "I."}, JSON).status_code) == (401, 401)
    assert bob_client.get(ASKED).json()["results"] == []
    assert bob_client.post(address, {"answer": "I."}, JSON).status_code == 404
    for bad in ({}, {"answer": ""}, {"answer": 5}, {"answer": "x" * 2_001}):
        assert writer.post(address, bad, JSON).json()["errors"][0]["pointer"] == "/answer"
    first, again = (
        writer.post(address, {"answer": "The second."}, JSON, headers={"Idempotency-Key": "a"}) for _ in range(2)
    )
    assert (first.status_code, first.json()["answer"], again.json()) == (200, "The second.", first.json())
    assert writer.get(ASKED).json()["results"] == []
    assert writer.post(address, {"answer": "The first."}, JSON).status_code == 404
    assert item_of(submission).state == "waiting"


@pytest.mark.parametrize("address", [URL, MINE])
def test_a_page_takes_the_same_queries_however_full(writer: Client, alice: User, address: str) -> None:
    judge(alice, comment="One.")
    writer.get(address)
    counts: list[int] = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert writer.get(address).json()["results"]
        counts.append(len(queries))
        for number in range(3):
            judge(alice, comment=f"Number {number}.")
    assert counts[0] == counts[1] <= 10
