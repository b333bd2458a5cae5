from __future__ import annotations

import uuid

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import ApiToken, User
from portal.accounts.queries import deletion_summary
from portal.accounts.services import LastSuperuserError, create_token, delete_account
from portal.catalog.models import CardRevision, ModelCard, Variant
from portal.feedback.models import Answer, Question, Questionnaire, Submission
from portal.playground.models import Conversation, Generation
from tests.conftest import PASSWORD

DELETE = "/accounts/profile/delete/"
PROFILE = "/accounts/profile/"


def text(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def reauthenticate(client: Client, password: str = PASSWORD):
    return client.post("/accounts/reauthenticate/", {"password": password, "next": DELETE})


@pytest.fixture
def alices_work(alice: User) -> dict[str, object]:
    """Two runs, one judged, a token, a card revision of hers; and a judgement of hers on an anonymous visitor's run."""
    card = ModelCard.objects.create(owner_name="test", slug="card", title="Card")
    revision = CardRevision.objects.create(card=card, number=1, text="x", sha256="0" * 64, author=alice)
    variant = Variant.objects.create(card=card, slug="v", backend="transformers", source="v")
    hers = Conversation.objects.create(owner=alice)
    visitors = Conversation.objects.create(visitor=uuid.uuid4())

    def run(conversation):
        return Generation.objects.create(conversation=conversation, variant=variant, prompt="p", messages=[], params={})

    first, _second, foreign = run(hers), run(hers), run(visitors)
    questionnaire = Questionnaire.objects.create(slug="test-questionnaire", title="Q")
    for generation in (first, foreign):
        Submission.on(generation, questionnaire, owner=alice, changed_at=timezone.now()).save()
    question = Question.objects.create(questionnaire=questionnaire, key="q", kind="text", label="Why?")
    Answer.objects.create(submission=first.submissions.get(), question=question, text="because")
    create_token(alice, name="t", scopes=["read"], lifetime=None)
    return {"revision": revision, "foreign": foreign, "first": first}


def test_the_profile_shows_the_account(alice_client: Client, alice: User) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    html = text(alice_client, PROFILE)
    for expected in ("alice", "alice@example.org", "confirmed", "Contributor", reverse("accounts:tokens"), DELETE):
        assert expected in html
    assert reverse("account_change_password") in html
    assert reverse("account_email") in html


@pytest.mark.django_db
def test_a_hostile_name_is_escaped(client: Client) -> None:
    # Past every validator, as an import or an operator's SQL could do it.
    mallory = User.objects.create_user("<img src=x onerror=y>", "<b>@example.org", PASSWORD)
    client.force_login(mallory)
    reauthenticate(client)
    for url in (PROFILE, DELETE):
        html = text(client, url)
        assert "&lt;img src=x" in html
        assert "<img src=x" not in html


def test_deleting_asks_for_the_password_first(alice_client: Client, alice: User) -> None:
    for response in (alice_client.get(DELETE), alice_client.post(DELETE)):
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/reauthenticate/")
    assert reauthenticate(alice_client, "wrong").status_code == 200
    assert alice_client.get(DELETE).status_code == 302
    assert User.objects.filter(pk=alice.pk).exists()


def test_an_anonymous_visitor_is_asked_to_sign_in(visitor_client: Client) -> None:
    assert visitor_client.get(DELETE)["Location"].startswith("/accounts/login/")
    assert visitor_client.post(DELETE)["Location"].startswith("/accounts/login/")


def test_the_page_says_what_goes_and_what_stays(alice_client: Client, alices_work: dict[str, object]) -> None:
    reauthenticate(alice_client)
    response = alice_client.get(DELETE)
    summary = response.context["summary"]
    assert dict(summary.deleted) == {"API tokens": 1, "conversations": 1, "runs": 2, "judgements": 1}
    assert dict(summary.deleted_parts) == {"answers": 1}
    assert "<li>Answers: 1</li>" in response.content.decode()
    assert dict(summary.kept_without_name) == {"revisions of cards": 1, "judgements": 1}
    assert "no-store" in response["Cache-Control"]


def test_deleting_does_what_the_page_said_and_ends_the_session(
    alice_client: Client, alice: User, alices_work: dict[str, object], bob: User
) -> None:
    reauthenticate(alice_client)
    response = alice_client.post(DELETE)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert "_auth_user_id" not in alice_client.session
    assert list(User.objects.all()) == [bob]
    assert not ApiToken.objects.exists()
    assert not Conversation.objects.filter(owner__isnull=False).exists()
    assert [(row.generation, row.owner) for row in Submission.objects.all()] == [(alices_work["foreign"], None)]
    revision = alices_work["revision"]
    revision.refresh_from_db()
    assert revision.author is None


def test_somebody_with_nothing_is_told_so(alice: User) -> None:
    summary = deletion_summary(alice)
    assert (summary.deleted, summary.deleted_parts, summary.kept_without_name) == ([], [], [])


def test_the_last_superuser_stays(superuser: User, superuser_client: Client) -> None:
    with pytest.raises(LastSuperuserError):
        delete_account(superuser)
    reauthenticate(superuser_client)
    response = superuser_client.post(DELETE, follow=True)
    assert "last superuser" in response.content.decode()
    assert User.objects.filter(pk=superuser.pk).exists()
    User.objects.create_superuser("second", "second@example.org", PASSWORD)
    delete_account(superuser)
    assert not User.objects.filter(username="root").exists()


def test_an_inactive_superuser_does_not_count_as_one(superuser: User) -> None:
    second = User.objects.create_superuser("second", "second@example.org", PASSWORD)
    User.objects.filter(pk=second.pk).update(is_active=False)
    with pytest.raises(LastSuperuserError):
        delete_account(superuser)
