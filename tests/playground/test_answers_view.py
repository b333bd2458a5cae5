"""One answer in each of its states, stopping it, trying again; and what a hostile model writes stays text."""

from __future__ import annotations

import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def shown(client: Client, generation: Generation) -> str:
    response = client.get(reverse("playground:generation", args=[generation.pk]), headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def test_a_finished_answer_has_its_figures_and_a_place_for_the_judgement(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    generation = add_turn(
        make_conversation(alice),
        variant,
        output="# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```",
        usage={"prompt_tokens": 1_030, "completion_tokens": 41},
        timings={"first_token_s": 0.254, "decode_s": 2.0},
    )
    html = shown(alice_client, generation)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    for said in ("First token 0.25 s", "Speed 20.0 tok/s", "1,030 in the prompt → 41 in the answer", "Seed 7"):
        assert said in words
    assert "The model ended its answer" in words
    assert variant.model_id in words
    assert f"Run {generation.pk}" in words
    assert "<h2>Title</h2>" in html
    assert "<table>" in html
    assert f'hx-get="{reverse("feedback:panel", args=[generation.pk])}"' in html
    assert "data-stream" not in html


@pytest.mark.parametrize(
    ("reason", "state", "said"),
    [
        ("length", State.SUCCEEDED, "Cut at max tokens (256)"),
        ("deadline", State.SUCCEEDED, "Cut at the time limit (300 s)"),
        ("cancelled", State.CANCELLED, "Stopped by you"),
        ("something_new", State.SUCCEEDED, "something_new"),
    ],
)
def test_the_end_is_said_in_words(
    alice: User, alice_client: Client, variant: Variant, reason: str, state: State, said: str
) -> None:
    generation = add_turn(make_conversation(alice), variant, finish_reason=reason, state=state)
    assert said in shown(alice_client, generation)


def test_a_stopped_answer_keeps_its_text_and_says_so(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(
        make_conversation(alice), variant, output="As far as it g", state=State.CANCELLED, finish_reason="cancelled"
    )
    html = shown(alice_client, generation)
    assert "As far as it g" in html
    assert "Stopped" in html


def test_an_answer_stopped_in_the_queue_says_that_there_is_none(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    generation = add_turn(
        make_conversation(alice), variant, output="", state=State.CANCELLED, finish_reason="cancelled"
    )
    html = shown(alice_client, generation)
    assert "Stopped before the first token." in html
    assert "feedback" not in html


def test_a_failed_run_shows_its_sentence_its_code_and_a_way_to_try_again(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    generation = add_turn(
        make_conversation(alice), variant, output="", state=State.FAILED,
        error_code="context_exceeded", error_message="The prompt has 9,000 tokens & the model reads 8,192.",
    )  # fmt: skip
    html = shown(alice_client, generation)
    assert "The prompt has 9,000 tokens &amp; the model reads 8,192." in html
    assert "context_exceeded" in html
    assert reverse("playground:retry", args=[generation.pk]) in html


def test_a_running_answer_has_a_stream_and_a_stop(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, state=State.RUNNING)
    html = shown(alice_client, generation)
    assert f'data-stream="{reverse("playground:events", args=[generation.pk])}"' in html
    assert f'action="{reverse("playground:cancel", args=[generation.pk])}"' in html


def test_an_answers_own_address_leads_to_its_conversation(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant)
    response = alice_client.get(reverse("playground:generation", args=[generation.pk]))
    assert response["Location"] == generation.get_absolute_url()


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt&colon;alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    '<a href="javascript:alert(1)">x</a>',
    "<style>body{display:none}</style>",
    "<iframe src=https://evil.example></iframe>",
    '<form action="https://evil.example"><button>x</button></form>',
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    '<div hx-get="/playground/" hx-trigger="load"></div>',
    '</div></section><h1 id="playground">',
    "<https://evil.example/'onmouseover='alert(1)>",
]


@pytest.mark.parametrize("output", HOSTILE)
def test_what_a_hostile_model_writes_is_text(alice: User, alice_client: Client, variant: Variant, output: str) -> None:
    generation = add_turn(
        make_conversation(alice, output), variant, prompt=output, output=output, thinking=output,
        state=State.SUCCEEDED,
    )  # fmt: skip
    pages = [
        shown(alice_client, generation),
        alice_client.get(generation.conversation.get_absolute_url()).content.decode(),
        alice_client.get(reverse("playground:conversations")).content.decode(),
    ]
    for page in pages:
        # Every tag that is really there, with its attributes.
        tags = re.findall(r"<[a-zA-Z][^>]*>", page)
        for tag in tags:
            assert not re.search(r"\son\w+\s*=", tag), tag
            assert not re.match(r"<(img|iframe|style|object|embed)\b", tag), tag
            assert not re.search(r'(href|src|action)="?\s*(javascript|data):', tag, re.IGNORECASE), tag
            assert "evil.example" not in tag or tag.startswith("<a href="), tag
            if "<script" in tag:
                assert 'src="/static/' in tag, tag
        assert sum('id="playground"' in tag for tag in tags) <= 1


def test_a_hostile_error_message_is_text(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(
        make_conversation(alice), variant, output="", state=State.FAILED,
        error_code="upstream", error_message="<script>alert(1)</script>",
    )  # fmt: skip
    assert "<script>" not in shown(alice_client, generation)


def test_a_huge_answer_is_shown_up_to_a_bound(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, output="*_[`<!" * 60_000)
    html = shown(alice_client, generation)
    assert "The text is cut here" in html


# --- Stopping


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_a_post_stops(alice: User, alice_client: Client, variant: Variant, method: str) -> None:
    generation = add_turn(make_conversation(alice), variant, state=State.RUNNING)
    response = getattr(alice_client, method)(reverse("playground:cancel", args=[generation.pk]))
    assert response.status_code == 405
    generation.refresh_from_db()
    assert generation.cancel_requested_at is None


def test_stopping_a_queued_run_ends_it_at_once(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, state=State.QUEUED)
    response = alice_client.post(reverse("playground:cancel", args=[generation.pk]), headers=HTMX)
    assert response["HX-Retarget"] == f"#generation-{generation.pk}"
    assert "Stopped before the first token." in response.content.decode()
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED


def test_stopping_a_running_run_asks_its_worker(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, state=State.RUNNING)
    url = reverse("playground:cancel", args=[generation.pk])
    assert alice_client.post(url, headers=HTMX).status_code == 204
    generation.refresh_from_db()
    asked_at = generation.cancel_requested_at
    assert asked_at is not None
    assert alice_client.post(url)["Location"] == generation.get_absolute_url()


def test_stopping_what_has_ended_changes_nothing(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant)
    url = reverse("playground:cancel", args=[generation.pk])
    for headers, status in (({}, 302), (HTMX, 200)):
        assert alice_client.post(url, headers=headers).status_code == status
    generation.refresh_from_db()
    assert (generation.state, generation.cancel_requested_at) == (State.SUCCEEDED, None)


def test_stopping_needs_the_forms_token(alice: User, variant: Variant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    generation = add_turn(make_conversation(alice), variant, state=State.RUNNING)
    assert client.post(reverse("playground:cancel", args=[generation.pk])).status_code == 403


# --- Trying again


@pytest.fixture
def failed(alice: User, variant: Variant) -> Generation:
    conversation = make_conversation(alice, system_prompt="Be brief.")
    first = add_turn(conversation, variant)
    return add_turn(
        conversation, variant, first, prompt="Why?", output="", state=State.FAILED, error_code="out_of_memory"
    )


def test_trying_again_sends_the_same_prompt_as_a_sibling(alice_client: Client, failed: Generation) -> None:
    url = reverse("playground:retry", args=[failed.pk])
    key = str(uuid.uuid4())
    response = alice_client.post(url, {"request_key": key}, headers=HTMX)
    again = Generation.objects.get(request_key=key)
    assert (again.prompt, again.parent, again.params) == (failed.prompt, failed.parent, failed.params)
    assert again.conversation.system_prompt == "Be brief."
    html = response.content.decode()
    assert "data-stream" in html
    # The next turn will follow the new run, not the failed one.
    assert '<span id="composer-keys" hx-swap-oob="true" hidden>' in html
    assert f'name="parent" value="{again.pk}"' in html
    # The same click twice starts one run.
    assert alice_client.post(url, {"request_key": key})["Location"] == again.get_absolute_url()
    assert Generation.objects.filter(prompt="Why?").count() == 2


def test_trying_again_without_a_variant_that_runs_says_so(alice_client: Client, failed: Generation) -> None:
    Variant.objects.update(is_runnable=False)
    url = reverse("playground:retry", args=[failed.pk])
    response = alice_client.post(url, {"request_key": str(uuid.uuid4())}, headers=HTMX)
    assert response.status_code == 422
    assert "cannot run here at present" in response.content.decode()
    page = alice_client.post(url, {"request_key": str(uuid.uuid4())}, follow=True).content.decode()
    assert "cannot run here at present" in page


@pytest.mark.parametrize("key", ["", "x", "../../etc"])
def test_trying_again_needs_a_key(alice_client: Client, failed: Generation, key: str) -> None:
    url = reverse("playground:retry", args=[failed.pk])
    assert alice_client.post(url, {"request_key": key}, headers=HTMX).status_code == 422
    assert Generation.objects.filter(prompt="Why?").count() == 1


def test_trying_again_meets_the_same_limits(alice_client: Client, failed: Generation, settings: Settings) -> None:
    settings.GENERATION_RATE = "1/minute"
    url = reverse("playground:retry", args=[failed.pk])
    alice_client.post(url, {"request_key": str(uuid.uuid4())})
    response = alice_client.post(url, {"request_key": str(uuid.uuid4())}, headers=HTMX)
    assert response.status_code == 429
    assert "Retry-After" in response
