"""Notices that say the same can be told apart, by what each is about; nothing of it is stored in them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import gettext, override

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Kind, Outcome
from portal.arena.voting import vote_on_battle, vote_side_by_side
from portal.feedback.models import Questionnaire
from portal.playground.models import Generation
from portal.reviews.models import Notice, ReviewItem
from portal.reviews.queries.inquiries import notices_of, open_inquiries
from portal.reviews.services.notice_mails import send_due_notices
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db
PAGE = reverse("reviews:questions")
PROMPTS = ("Who wrote Faust?", "What is a lever?", "Name\nthree   rivers.")


@pytest.fixture(autouse=True)
def _accepted(alice: User, reviewer: User, second_reviewer: User) -> None:
    """Three judgements of alice's, each accepted."""
    for prompt in PROMPTS:
        item = item_of(judge(alice, make_generation(alice, prompt=prompt)))
        for each in (reviewer, second_reviewer):
            give_verdict(each, item)


def test_each_names_the_questionnaire_and_the_beginning_of_the_prompt(alice: User, alice_client: Client) -> None:
    page = alice_client.get(PAGE).text
    assert page.count("Your judgement was accepted.") == 3
    for prompt in ("Who wrote Faust?", "What is a lever?", "Name three rivers."):
        assert f'<span dir="auto">Answer quality: {prompt}</span></a>' in page
    assert all(prompt not in text for text in Notice.objects.values_list("text", flat=True) for prompt in PROMPTS)


def test_a_mail_names_them_too(alice: User) -> None:
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert send_due_notices() == 1
    assert "Your judgement was accepted.\nAnswer quality: Who wrote Faust?\nhttp" in mail.outbox[0].body


def test_votes_on_one_prompt_are_told_apart_by_their_variants(
    alice: User, alice_client: Client, reviewer: User, second_reviewer: User
) -> None:
    variants = [make_variant("smol/lm2"), make_variant("other/tiny"), make_variant("third/one")]
    contest = make_contest(alice, variants, Kind.SIDE_BY_SIDE, prompt="Say hello.")
    for vote in vote_side_by_side(Actor(user=alice), contest, 1, 0):
        for each in (reviewer, second_reviewer):
            give_verdict(each, ReviewItem.objects.get(vote=vote))
    page = alice_client.get(PAGE).text
    for other in ("other/tiny:bf16", "third/one:bf16"):
        assert f"smol/lm2:bf16 and {other}: Say hello." in page


def test_what_was_deleted_is_named_no_more(alice: User, alice_client: Client) -> None:
    Generation.objects.filter(prompt="Who wrote Faust?").delete()
    page = alice_client.get(PAGE).text
    assert "Who wrote Faust?" not in page
    assert page.count("Your judgement was accepted.") == 3


def test_more_of_them_cost_no_more_queries(alice: User, alice_client: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            alice_client.get(PAGE)
        return len(queries)

    cost()
    three = cost()
    Notice.objects.filter(text__startswith="Your").first().delete()  # type: ignore[union-attr]
    assert cost() == three


@pytest.mark.parametrize("told", [notices_of, open_inquiries])
def test_runs_come_without_what_is_not_told_of_them(
    told: Callable[[Actor], QuerySet[Any]], alice: User, reviewer: User
) -> None:
    variants = [make_variant("smol/lm2"), make_variant("other/tiny")]
    vote = vote_on_battle(Actor(user=alice), make_contest(alice, variants), Outcome.A)
    for subject in (ReviewItem.objects.get(vote=vote), item_of(judge(alice))):
        give_verdict(reviewer, subject, "question")
    with CaptureQueriesContext(connection) as queries:
        rows = list(told(Actor(user=alice)))
        [subject.about() for row in rows if (subject := row.item.submission) is not None]
    assert len(rows) >= 2
    read = [query["sql"] for query in queries if '"playground_generation"' in query["sql"]]
    assert [sql.count('."prompt"') for sql in read] == [3]
    for column in ("messages", "rendered_prompt", "output", "thinking", "provenance"):
        assert f'."{column}"' not in read[0]


def test_the_questionnaire_is_named_in_the_readers_language(alice: User) -> None:
    Questionnaire.objects.filter(slug="answer-quality").update(translations={"fr": {"title": "Qualité de la réponse"}})
    notice = Notice.objects.order_by("pk").first()
    assert notice is not None
    with override("fr"):
        assert notice.about == "Qualité de la réponse: Who wrote Faust?"
    with override("de"):
        assert notice.about == f"{gettext('Answer quality')}: Who wrote Faust?"


def test_those_from_before_find_their_item_by_their_address(alice: User) -> None:
    before = dict(Notice.objects.values_list("pk", "item"))
    Notice.objects.create(owner=alice, text="A limitation.", url="/limitations/of-card/7/")
    Notice.objects.create(owner=alice, text="No list of mine.", url="/contributions/")
    Notice.objects.update(item=None)
    importlib.import_module("portal.reviews.migrations.0004_fill_items_of_notices").fill_items(apps, None)
    assert dict(Notice.objects.exclude(item=None).values_list("pk", "item")) == before
