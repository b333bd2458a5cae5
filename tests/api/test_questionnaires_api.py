"""Questionnaires and campaigns over REST: read by all, made in steps by maintainers; no step overwrites another."""

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

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.feedback.campaign_services import send_answers
from portal.feedback.models import Campaign, Consent, Questionnaire
from portal.feedback.question_options import FIELDS_OF_KIND
from portal.feedback.terms import Terms

pytestmark = pytest.mark.django_db
LIST, CAMPAIGNS = reverse("api:questionnaire-list"), reverse("api:campaign-list")
JSON = "application/json"
CHOICES = [{"key": "good", "label": "Good"}, {"key": "bad", "label": "Bad"}]
OPTIONS: dict[str, dict[str, Any]] = {
    "thumb": {},
    "yes_no": {},
    "rating": {"min": 0, "max": 10, "anchors": {"0": "Never"}},
    "choice": {"choices": CHOICES},
    "choices": {"choices": CHOICES, "most": 1},
    "ranking": {"choices": CHOICES, "ties": False},
    "text": {"max_characters": 50},
    "number": {"min": -5, "max": 2.5, "decimals": 1, "unit": "GB"},
    "date": {"min": "2026-01-01", "max": "2026-12-31"},
    "spans": {"choices": CHOICES},
    "correction": {"max_characters": 50},
    "token": {},
    "matrix": {"rows": CHOICES, "columns": CHOICES, "whole": True},
}


@pytest.fixture
def reader(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ)


@pytest.fixture
def maker(token_client: Callable[..., Client], maintainer: User) -> Client:
    return token_client(maintainer, Scope.ADMIN)


def at(name: str, *args: Any) -> str:
    return reverse(f"api:{name}", args=args)


def begin(maker: Client, slug: str = "tone") -> str:
    made = maker.post(LIST, {"slug": slug, "title": "Tone of answers"}, JSON)
    assert made.status_code == 201, made.content
    return str(made["Location"])


def test_a_questionnaire_is_made_step_by_step_and_never_changes_once_published(maker: Client, reader: Client) -> None:
    draft = begin(maker)
    assert reader.get(draft).status_code == 404
    settings = maker.patch(draft, {"intro": "*Briefly.*", "on_answers": True}, JSON).json()
    assert (settings["intro"], settings["on_answers"], settings["title"]) == ("*Briefly.*", True, "Tone of answers")
    questions = f"{draft}questions/"
    added = maker.post(questions, {"key": "ok", "kind": "yes_no", "label": "Is it fitting?"}, JSON)
    assert added.status_code == 201, added.content
    why = {"key": "why", "kind": "text", "label": "Why not?", "show_if": {"key": "ok", "equals": "no"}}
    assert maker.post(questions, why, JSON).json()["questions"][1]["show_if"] == why["show_if"]
    changed = maker.patch(f"{questions}ok/", {"is_required": True, "help": "Honestly."}, JSON).json()
    assert (changed["questions"][0]["is_required"], changed["questions"][0]["label"]) == (True, "Is it fitting?")
    for response in (
        maker.post(f"{questions}why/move/", {"direction": "up"}, JSON),
        maker.delete(f"{questions}ok/"),
        maker.post(questions, {**why, "key": "again", "show_if": {"key": "ok", "equals": "perhaps"}}, JSON),
    ):
        assert response.status_code == 400
    translated = maker.patch(f"{draft}translations/de/", {"texts": {"ok.label": "Passt es?"}}, JSON).json()
    assert translated["questions"][0]["translations"] == {"de": {"label": "Passt es?"}}
    assert maker.patch(f"{draft}translations/de/", {"texts": {"no.label": "x"}}, JSON).status_code == 400
    published = maker.post(f"{draft}publish/")
    assert (published.status_code, published.json()["is_current"]) == (200, True)
    assert reader.get(draft).json() == published.json()
    for response in (
        maker.patch(draft, {"title": "Else"}, JSON),
        maker.post(questions, why, JSON),
        maker.delete(draft),
        maker.post(f"{draft}publish/"),
    ):
        assert response.status_code == 404
    following, same = maker.post(f"{draft}draft/"), maker.post(f"{draft}draft/")
    assert (following.status_code, same.status_code, following.json()["version"]) == (201, 200, 2)
    assert [each["key"] for each in following.json()["questions"]] == ["ok", "why"]
    assert maker.delete(following["Location"]).status_code == 204
    assert Questionnaire.objects.filter(slug="tone").count() == 1


def test_every_kind_of_question_says_again_what_it_was_made_with(maker: Client) -> None:
    assert OPTIONS.keys() == {kind.value for kind in FIELDS_OF_KIND}
    draft = begin(maker)
    for kind, options in OPTIONS.items():
        body = {"key": kind, "kind": kind, "label": "What?", "options": options}
        made = maker.post(f"{draft}questions/", body, JSON)
        assert made.status_code == 201, (kind, made.content)
        told = made.json()["questions"][-1]["options"]
        assert {**told, **options} == told
        again = maker.patch(f"{draft}questions/{kind}/", {"options": told}, JSON)
        assert (again.status_code, again.json()["questions"][-1]["options"]) == (200, told)


@pytest.mark.parametrize(
    ("kind", "options", "pointer"),
    [
        ("choice", {"choices": [CHOICES[0]]}, "/options/choices"),
        ("choice", {"choices": [{"key": "a|b", "label": "x"}, CHOICES[0]]}, "/options/choices"),
        ("choice", {"choices": [{"key": "a", "label": "x\ny"}, CHOICES[0]]}, "/options/choices"),
        ("choice", {"choices": "good"}, "/options/choices"),
        ("choice", {"choices": CHOICES, "min": 1}, "/options/min"),
        ("rating", {"min": 5, "max": 1}, "/options/max"),
        ("rating", {"min": "1"}, "/options/min"),
        ("rating", {"min": 1, "max": 5, "anchors": {"9": "x"}}, "/options/anchors"),
        ("date", {"min": 1}, "/options/min"),
        ("date", {"min": "1st May"}, "/options/min"),
        ("text", {"max_characters": 0}, "/options/max_characters"),
        ("yes_no", {"most": 1}, "/options/most"),
        ("text", [], "/options"),
    ],
)
def test_options_that_make_no_sense_are_pointed_at(maker: Client, kind: str, options: Any, pointer: str) -> None:
    draft = begin(maker)
    body = {"key": "q", "kind": kind, "label": "What?", "options": options}
    response = maker.post(f"{draft}questions/", body, JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer)
    assert maker.get(draft).json()["questions"] == []


def test_of_two_who_change_a_draft_the_second_is_told(maker: Client) -> None:
    draft = begin(maker)
    read = maker.get(draft)
    first = maker.patch(draft, {"title": "One"}, JSON, headers={"If-Match": read["ETag"]})
    assert first.status_code == 200
    for response in (
        maker.patch(draft, {"title": "Two"}, JSON, headers={"If-Match": read["ETag"]}),
        maker.post(
            f"{draft}questions/", {"key": "q", "kind": "text", "label": "?"}, JSON, headers={"If-Match": read["ETag"]}
        ),
        maker.post(f"{draft}publish/", headers={"If-Match": read["ETag"]}),
        maker.delete(draft, headers={"If-Match": read["ETag"]}),
    ):
        assert (response.status_code, response.json()["type"]) == (412, "/api/problems/#precondition-failed")
    assert maker.get(draft).json()["title"] == "One"
    assert maker.get(draft, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_published_versions_are_everybodys_to_read(reader: Client, maker: Client) -> None:
    begin(maker)
    rows = reader.get(LIST, {"on": "answers", "current": 1, "fields": "slug,version,questions"}).json()["results"]
    assert "answer-quality" in {row["slug"] for row in rows}
    assert "tone" not in {row["slug"] for row in reader.get(LIST).json()["results"]}
    assert [row["slug"] for row in maker.get(LIST, {"slug": "tone"}).json()["results"]] == ["tone"]
    assert reader.get(LIST, {"limit": 1}).json()["next"]
    for name, value in (("on", "dogs"), ("current", "yes"), ("slug", ""), ("mood", "x")):
        response = reader.get(LIST, {name: value})
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, name)


def test_a_campaign_is_made_changed_by_its_version_and_read_when_published(maker: Client, reader: Client) -> None:
    body = {"slug": "spring", "title": "Spring", "questionnaire": "comparison", "results_shown": "never"}
    made = maker.post(CAMPAIGNS, body, JSON, headers={"Idempotency-Key": "spring"})
    assert made.status_code == 201, made.content
    assert maker.post(CAMPAIGNS, body, JSON, headers={"Idempotency-Key": "spring"})["Idempotency-Replayed"] == "true"
    address = made["Location"]
    assert reader.get(address).status_code == 404
    taken = maker.post(CAMPAIGNS, body, JSON)
    assert (taken.status_code, taken.json()["errors"][0]["pointer"]) == (400, "/slug")
    change = {"is_published": True, "goal": 10}
    changed = maker.patch(address, change, JSON, headers={"If-Match": made["ETag"]})
    assert (changed.json()["goal"], changed.json()["is_open"], changed.json()["version"]) == (10, True, 2)
    assert maker.patch(address, {"goal": 11}, JSON, headers={"If-Match": made["ETag"]}).status_code == 412
    assert reader.get(address).json() == changed.json()
    assert reader.get(f"{address}results/").status_code == 404
    assert maker.get(f"{address}results/").json()["n"] == 0
    for bad, pointer in (
        ({"closes_at": "2020-01-01T00:00:00Z"}, "/closes_at"),
        ({"closes_at": 5}, "/closes_at"),
        ({"questionnaire": "no-such"}, "/questionnaire"),
        ({"goal": 0}, "/goal"),
        ({"title": ""}, "/title"),
    ):
        refused = maker.patch(address, bad, JSON)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)
    assert Campaign.objects.get(slug="spring").version == 2


def test_results_come_with_n_and_intervals_and_an_answer_keeps_the_questionnaire(
    maker: Client, reader: Client, alice: User
) -> None:
    begin(maker)
    base = at("questionnaire-detail", "tone", 1)
    maker.post(f"{base}questions/", {"key": "ok", "kind": "yes_no", "label": "Is it fitting?"}, JSON)
    maker.post(f"{base}questions/", {"key": "stars", "kind": "rating", "label": "How much?"}, JSON)
    maker.post(f"{base}publish/")
    body = {"slug": "spring", "title": "Spring", "questionnaire": "tone", "is_published": True}
    made = maker.post(CAMPAIGNS, body, JSON)
    campaign = Campaign.objects.get(slug="spring")
    send_answers(Actor(user=alice), campaign, {"ok": "yes", "stars": 4}, Terms())
    results = reader.get(f"{made['Location']}results/", {"row": "ok", "column": "stars"}).json()
    bar = results["questions"][0]["groups"][0]["bars"][0]
    assert (results["n"], bar["count"], bar["share"]) == (1, 1, 1.0)
    assert bar["low"] == pytest.approx(0.2065, abs=1e-3)
    assert results["questions"][1]["mean"] == {"value": 4.0, "n": 1, "low": None, "high": None}
    assert results["crossed"]["rows"][0]["n"] == 1
    bad = reader.get(f"{made['Location']}results/", {"row": "ok"})
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (400, "column")
    # The answer that arrived is no obstacle to a change, and keeps the questionnaire.
    assert maker.patch(made["Location"], {"goal": 5}, JSON, headers={"If-Match": made["ETag"]}).status_code == 200
    kept = maker.patch(made["Location"], {"questionnaire": "comparison"}, JSON)
    assert (kept.status_code, kept.json()["errors"][0]["pointer"]) == (400, "/questionnaire")
    assert reader.get(made["Location"]).json()["count"] == 1
    rows = reader.get(CAMPAIGNS, {"open": 1, "questionnaire": "tone", "fields": "slug,count"}).json()["results"]
    assert rows == [{"slug": "spring", "count": 1}]
    Campaign.objects.filter(pk=campaign.pk).update(opens_at=timezone.now() + timedelta(days=1))
    assert reader.get(CAMPAIGNS, {"open": 1, "questionnaire": "tone"}).json()["results"] == []


def test_words_are_quoted_of_who_agreed_and_no_longer_when_they_are_dropped(
    maker: Client, reader: Client, alice: User, bob: User, alice_client: Client, client: Client
) -> None:
    begin(maker)
    base = at("questionnaire-detail", "tone", 1)
    maker.post(f"{base}questions/", {"key": "why", "kind": "text", "label": "Why?"}, JSON)
    maker.post(f"{base}publish/")
    body = {"slug": "spring", "title": "Spring", "questionnaire": "tone", "is_published": True}
    made = maker.post(CAMPAIGNS, body, JSON)
    campaign = Campaign.objects.get(slug="spring")
    send_answers(Actor(user=alice), campaign, {"why": "It is calm."}, Terms(Consent.QUOTE))
    send_answers(Actor(user=bob), campaign, {"why": "For me alone."}, Terms(Consent.PUBLISH))
    address = f"{made['Location']}quotes/"
    silent, said = maker.get(address).json()["results"]
    assert (silent["text"], silent["may_be_quoted"], said["may_be_quoted"]) == ("For me alone.", False, True)
    for who, status in ((client, 401), (alice_client, 404), (reader, 403)):
        assert who.get(address).status_code == status
        assert who.post(address, {"answer": said["answer"]}, JSON).status_code == status
        assert who.delete(f"{address}{said['answer']}/").status_code == status
    assert maker.post(address, {"answer": silent["answer"]}, JSON).status_code == 404
    chosen = maker.post(address, {"answer": said["answer"]}, JSON)
    assert (chosen.status_code, chosen.json()) == (201, {**said, "is_chosen": True})
    results = f"{made['Location']}results/"
    assert reader.get(results).json()["questions"][0]["quotes"] == ["It is calm."]
    assert maker.delete(f"{address}{said['answer']}/").status_code == 204
    for gone in (said["answer"], 2**63, 10**30):
        assert maker.delete(f"{address}{gone}/").status_code == 404
    assert reader.get(results).json()["questions"][0]["quotes"] == []


def test_making_is_for_maintainers_with_the_scope(
    token_client: Callable[..., Client], alice_client: Client, operator: User, maintainer: User, client: Client
) -> None:
    draft = begin(token_client(maintainer, Scope.ADMIN))
    calls = [
        ("post", LIST, {"slug": "x", "title": "X"}),
        ("patch", draft, {"title": "X"}),
        ("delete", draft, {}),
        ("post", f"{draft}draft/", {}),
        ("post", f"{draft}publish/", {}),
        ("post", f"{draft}questions/", {"key": "q", "kind": "text", "label": "?"}),
        ("patch", f"{draft}questions/q/", {"label": "?"}),
        ("delete", f"{draft}questions/q/", {}),
        ("post", f"{draft}questions/q/move/", {"direction": "up"}),
        ("patch", f"{draft}translations/de/", {"texts": {}}),
        ("post", CAMPAIGNS, {"slug": "x", "title": "X", "questionnaire": "comparison"}),
        ("patch", at("campaign-detail", "next-open-model"), {"goal": 1}),
    ]
    for method, address, body in calls:
        for caller, status in (
            (alice_client, 404),
            (token_client(operator, Scope.ADMIN), 404),
            (token_client(maintainer, Scope.READ, Scope.SUBMIT), 403),
            (client, 401),
        ):
            assert getattr(caller, method)(address, body, JSON).status_code == status, (method, address, status)
    assert token_client(maintainer, Scope.READ).get(draft).status_code == 404


@pytest.mark.parametrize("address", [LIST, CAMPAIGNS])
def test_a_page_takes_the_same_queries_however_full(reader: Client, address: str) -> None:
    reader.get(address)
    counts: list[int] = []
    for number in range(2):
        made = Questionnaire.objects.create(slug=f"more-{number}", title="More", published_at=timezone.now())
        for each in range(1 + 3 * number):
            made.questions.create(key=f"q{each}", kind="text", label="?", options={"max_characters": 5})
            Campaign.objects.create(slug=f"c{number}{each}", title="C", questionnaire=made, is_published=True)
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(address).json()["results"]
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6
