"""A card's gate: what is asked, who is let in, who answers, and what nobody else reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts import limits
from portal.accounts.models import User
from portal.catalog.access import GateClosed, may_run, require_access, variants_for
from portal.catalog.event_mails import send_due_mails
from portal.catalog.gate_forms import AccessForm
from portal.catalog.gate_terms import describe_gate
from portal.catalog.gating import ACCESS_RATE, answer_request, grant_access, request_access
from portal.catalog.models import AccessRequest, AccessState, EventMail, Gate, ModelCard
from portal.catalog.queries import default_variant
from tests.catalog.shelf import make_card, make_variant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_limits")]

ASKS = """---
extra_gated_heading: Tiny asks first
extra_gated_description: Answers come within two days.
extra_gated_prompt: "You agree to **the terms**. <script>alert(1)</script>"
extra_gated_button_content: Send it
extra_gated_fields:
  Company: text
  Born: date_picker
  Where: country
  Your address: ip_location
  Use:
    type: select
    options: [Research, {label: Something else, value: other}]
  I agree to the terms: checkbox
---
"""
ANSWERS = {
    "question_0": "Acme",
    "question_1": "1990-01-02",
    "question_2": "Peru",
    "question_3": "other",
    "question_4": "on",
}
SAID = {"Company": "Acme", "Born": "1990-01-02", "Where": "Peru", "Use": "Something else", "I agree to the terms": True}


@pytest.fixture
def card() -> ModelCard:
    gated = make_card(text=ASKS, gate=Gate.APPROVAL)
    make_variant(gated)
    return gated


def test_an_open_card_asks_nothing_of_anybody(client: Client, alice: User) -> None:
    card = make_card()
    assert may_run(None, card)
    assert "Nothing has to be asked" in client.get(card.get_absolute_url() + "access/").content.decode()
    with pytest.raises(ValidationError, match="everybody runs it without asking"):
        request_access(card, alice, {})


def test_the_form_is_the_cards_and_nothing_of_it_runs(alice_client: Client, card: ModelCard) -> None:
    html = alice_client.get(card.get_absolute_url() + "access/").content.decode()
    form = html.split('<main id="main"')[1].split("</main>")[0]
    for words in (
        "Tiny asks first",
        "Answers come within two days.",
        "<strong>the terms</strong>",
        "Send it",
        "Company",
    ):
        assert words in form
    assert "Your address" not in form
    assert '<option value="other">Something else</option>' in form
    assert "<script>alert" not in form


def test_approval_waits_for_a_maintainer_who_reads_the_answers(
    alice: User, alice_client: Client, maintainer_client: Client, card: ModelCard
) -> None:
    address = card.get_absolute_url() + "access/"
    assert alice_client.post(address, ANSWERS).status_code == 302
    asked = AccessRequest.objects.get(user=alice)
    assert (asked.state, asked.answers) == (AccessState.PENDING, SAID)
    assert asked.terms.startswith("You agree to **the terms**.")
    assert "The request waits for a maintainer" in alice_client.get(address).content.decode()
    assert not may_run(alice, card)
    html = maintainer_client.get(address + "requests/").content.decode()
    assert "alice@example.org" in html
    assert "<dt>Company</dt><dd>Acme</dd>" in html
    maintainer_client.post(f"{address}requests/{asked.pk}/", {"action": "grant"})
    assert may_run(alice, card)
    assert "You may run this model" in alice_client.get(address).content.decode()


def test_an_agreement_lets_in_at_once_but_not_over_a_maintainers_no(
    alice: User, alice_client: Client, maintainer: User, card: ModelCard
) -> None:
    ModelCard.objects.update(gate=Gate.AGREEMENT)
    assert (
        alice_client.post(card.get_absolute_url() + "access/", ANSWERS).headers["Location"] == card.get_absolute_url()
    )
    assert AccessRequest.objects.get(user=alice).state == AccessState.GRANTED
    card = ModelCard.objects.get()
    assert may_run(alice, card)
    answer_request(AccessRequest.objects.get(), "revoke", maintainer)
    address = card.get_absolute_url() + "access/"
    assert "this time a maintainer answers" in alice_client.get(address).text
    assert alice_client.post(address, ANSWERS).headers["Location"] == address
    asked = AccessRequest.objects.latest("pk")
    assert asked.state == AccessState.PENDING
    assert not may_run(alice, card)
    answer_request(asked, "grant", maintainer)
    assert may_run(alice, card)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question_0": ""}, "This field is required."),
        ({"question_0": "x" * 501}, "at most 500 characters"),
        ({"question_1": "yesterday"}, "Enter a valid date."),
        ({"question_3": "war"}, "Select a valid choice."),
        ({"question_4": ""}, "This has to be agreed to."),
    ],
)
def test_a_form_that_does_not_answer_is_given_back(
    alice_client: Client, card: ModelCard, changes: dict[str, str], message: str
) -> None:
    response = alice_client.post(card.get_absolute_url() + "access/", ANSWERS | changes)
    assert response.status_code == 422
    assert message in response.content.decode()
    assert 'value="Peru"' in response.content.decode()
    assert not AccessRequest.objects.exists()


def test_asking_twice_is_one_request_and_after_a_no_one_asks_again(
    alice: User, alice_client: Client, maintainer: User, card: ModelCard
) -> None:
    first = request_access(card, alice, {"Company": "Acme"})
    assert request_access(card, alice, {"Company": "Other"}) == first
    answer_request(first, "decline", maintainer, "Too little is said.")
    page = alice_client.get(card.get_absolute_url() + "access/").content.decode()
    assert "The reason: “Too little is said.”</p><p>You can ask again." in page
    again = request_access(card, alice, {"Company": "Acme Ltd"})
    assert again != first
    answer_request(again, "grant", maintainer)
    answer_request(again, "revoke", maintainer, "The terms changed.")
    assert not may_run(alice, card)
    assert list(AccessRequest.objects.order_by("pk").values_list("state", flat=True)) == ["declined", "revoked"]


def test_an_option_without_a_label_is_called_by_its_value() -> None:
    options = ["Research", {"value": "other"}, {"label": "Else"}, {"label": "Twice", "value": "other"}]
    terms = describe_gate({"extra_gated_fields": {"Use": {"type": "select", "options": options}}})
    assert terms.questions[0].options == (
        ("Research", "Research"),
        ("other", "other"),
        ("Else", "Else"),
        ("other", "Twice"),
    )
    form = AccessForm({"question_0": "other"}, terms=terms)
    assert form.is_valid()
    assert form.answers() == {"Use": "other"}


def test_each_decision_that_still_stands_is_mailed_once(
    card: ModelCard, alice: User, bob: User, maintainer: User
) -> None:
    first = request_access(card, alice, {})
    answer_request(first, "decline", maintainer, "Too little is said.")
    with pytest.raises(ValidationError):
        answer_request(first, "decline", maintainer)
    assert [send_due_mails(), send_due_mails()] == [1, 0]
    (message,) = outbox.outbox
    assert (message.to, message.subject) == (["alice@example.org"], "[Steelyard] Tiny model: your request was declined")
    assert "The reason: Too little is said." in message.body
    assert f"{card.get_absolute_url()}access/" in message.body

    granted = grant_access(card, bob, maintainer)
    grant_access(card, bob, maintainer)
    answer_request(granted, "revoke", maintainer)
    assert send_due_mails() == 1
    assert outbox.outbox[1].subject == "[Steelyard] Tiny model: your access was taken back"
    grant_access(card, maintainer, maintainer)  # their own decision
    assert list(EventMail.objects.order_by("pk").values_list("decision", "state")) == [
        ("declined", "sent"),
        ("granted", "dropped"),
        ("revoked", "sent"),
    ]


def test_what_was_decided_meanwhile_stays(
    alice: User, maintainer: User, maintainer_client: Client, card: ModelCard
) -> None:
    asked = request_access(card, alice, {})
    stale = AccessRequest.objects.get(pk=asked.pk)
    answer_request(asked, "decline", maintainer)
    with pytest.raises(ValidationError, match="alice's request is “Declined” now"):
        answer_request(stale, "grant", maintainer)
    response = maintainer_client.post(
        f"{card.get_absolute_url()}access/requests/{asked.pk}/", {"action": "revoke"}, follow=True
    )
    assert "is “Declined” now" in response.content.decode()
    assert AccessRequest.objects.get().state == AccessState.DECLINED


def test_a_maintainer_lets_in_who_did_not_ask_and_changes_the_gate(
    bob: User, maintainer: User, maintainer_client: Client, card: ModelCard
) -> None:
    address = card.get_absolute_url() + "access/"
    assert maintainer_client.post(address + "grant/", {"username": "BOB"}).status_code == 302
    assert may_run(bob, card)
    assert grant_access(card, bob, maintainer).pk == AccessRequest.objects.get().pk
    assert (
        "Nobody here has this username."
        in maintainer_client.post(address + "grant/", {"username": "x"}).content.decode()
    )
    assert maintainer_client.post(address + "gate/", {"gate": "closed"}).status_code == 422
    maintainer_client.post(address + "gate/", {"gate": "open"})
    card.refresh_from_db()
    assert card.gate == Gate.OPEN


def test_the_gate_is_in_front_of_running_alone(
    client: Client, alice: User, alice_client: Client, maintainer: User, card: ModelCard
) -> None:
    open_variant = make_variant(make_card("open"))
    assert "Ask for access" in client.get(card.get_absolute_url()).content.decode()
    assert "Try the model" not in alice_client.get(card.get_absolute_url()).content.decode()
    assert "By approval" in client.get("/").content.decode()
    assert [each.pk for each in variants_for(None)] == [open_variant.pk] == [each.pk for each in variants_for(alice)]
    assert len(variants_for(maintainer)) == 2
    assert default_variant() == open_variant
    with pytest.raises(GateClosed) as caught:
        require_access(alice, card)
    assert caught.value.address == card.get_absolute_url() + "access/"
    grant_access(card, alice, maintainer)
    assert len(variants_for(alice)) == 2


def test_nobody_else_reaches_the_requests(
    client: Client, alice: User, alice_client: Client, reviewer_client: Client, card: ModelCard
) -> None:
    asked = request_access(card, alice, {})
    address = card.get_absolute_url() + "access/"
    for browser in (client, alice_client, reviewer_client):
        assert browser.get(address + "requests/").status_code == 404
        for path, sent in (
            (f"requests/{asked.pk}/", {"action": "grant"}),
            ("grant/", {"username": "alice"}),
            ("gate/", {"gate": "open"}),
        ):
            assert browser.post(address + path, sent).status_code == 404
    assert client.post(address, ANSWERS).headers["Location"].startswith("/accounts/login/")
    assert AccessRequest.objects.get().state == AccessState.PENDING


def test_requests_belong_to_their_card_and_methods_are_kept_apart(
    maintainer_client: Client, alice: User, card: ModelCard
) -> None:
    asked = request_access(card, alice, {})
    other = make_card("other", gate=Gate.APPROVAL)
    assert (
        maintainer_client.post(
            f"{other.get_absolute_url()}access/requests/{asked.pk}/", {"action": "grant"}
        ).status_code
        == 404
    )
    for path in ("grant/", "gate/", f"requests/{asked.pk}/"):
        assert maintainer_client.get(card.get_absolute_url() + "access/" + path).status_code == 405
    assert maintainer_client.post(card.get_absolute_url() + "access/requests/").status_code == 405
    ModelCard.objects.update(is_published=False)
    assert Client().get(card.get_absolute_url() + "access/").status_code == 404


def test_asking_is_limited(alice: User, maintainer: User, card: ModelCard) -> None:
    for _number in range(int(ACCESS_RATE.partition("/")[0])):
        answer_request(request_access(card, alice, {}), "decline", maintainer)
    with pytest.raises(limits.LimitExceeded):
        request_access(card, alice, {})


def test_many_requests_take_as_many_queries_as_few(
    maintainer_client: Client, make_user: Callable[..., User], card: ModelCard
) -> None:
    address = card.get_absolute_url() + "access/requests/"
    counts = []
    for start in (0, 1):
        for number in range(start, start + 8 * start + 1):
            request_access(card, make_user(f"asker{number}"), {"Company": "Acme"})
        with CaptureQueriesContext(connection) as queries:
            assert maintainer_client.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert "asker3" not in maintainer_client.get(address, {"state": "granted"}).content.decode()


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "select", "checkbox", "label"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "options", "label", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["extra_gated_fields", "extra_gated_prompt", "extra_gated_heading"]), shapes))
@settings(max_examples=60, deadline=None)
def test_no_shape_of_terms_raises(metadata: dict[str, Any]) -> None:
    for question in describe_gate(metadata).questions:
        assert question.kind in {"text", "checkbox", "date_picker", "country", "select"}
