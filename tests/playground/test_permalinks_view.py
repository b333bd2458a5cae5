"""A run's record, its unlisted link and files, the re-run beside the earlier run; conversations shared and exported."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, ShareLink, State, TokenTrace
from portal.playground.rerunning import compare_rerun, first_difference
from portal.playground.run_record import record_as_bibtex, run_record
from portal.playground.sharing import share
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db
PROVENANCE = {"dtype": "bfloat16", "weights": {"model.safetensors": "ab12"}, "versions": {"torch": "2.13.0"}}


@pytest.fixture
def run(alice: User, variant: Variant) -> Generation:
    return add_turn(
        make_conversation(alice, "Secret title"),
        variant,
        prompt="<b>How</b>?",
        output="So **it** is.",
        rendered_prompt="<|user|><b>How</b>?",
        provenance=PROVENANCE,
        usage={"prompt_tokens": 3, "completion_tokens": 2},
    )


def trace(run: Generation, *texts: str) -> None:
    tokens = [{"id": len(text), "text": text, "logprob": -0.1, "top": [], "channel": "answer"} for text in texts]
    TokenTrace.objects.update_or_create(generation=run, defaults={"tokens": tokens})


def test_a_record_holds_what_a_repetition_needs_in_each_form(alice_client: Client, run: Generation) -> None:
    url = reverse("playground:record", args=[run.pk])
    page = alice_client.get(url).content.decode()
    for words in ("&lt;b&gt;How&lt;/b&gt;?", "<strong>it</strong>", "ab12", "bfloat16", "2.13.0", "@misc{steelyard-"):
        assert words in page
    record = json.loads(alice_client.get(url, {"form": "json"}).content)
    assert record["provenance"] == PROVENANCE
    assert (record["messages"], record["parameters"]["seed"]) == (run.messages, 7)
    assert (record["rendered_prompt"], record["output"]) == (run.rendered_prompt, run.output)
    text = alice_client.get(url, {"form": "txt"})
    assert text["Content-Type"].startswith("text/plain")
    assert 'model.safetensors: "ab12"' in text.content.decode()
    assert alice_client.get(url, {"form": "exe"}).status_code == 404


def test_a_records_page_has_words_and_units_beside_the_names(alice_client: Client, run: Generation) -> None:
    Generation.objects.filter(pk=run.pk).update(
        params={"temperature": 0.5, "stop": ["END", "a\n"], "logit_bias": {}, "added_later": 3},
        usage={"prompt_tokens": 1200, "completion_tokens": 8, "is_counted": False},
        timings={"first_token_s": 0.25},
    )
    page = alice_client.get(reverse("playground:record", args=[run.pk])).content.decode()
    facts = re.findall(r"<dt>(?:([^<]+) )?<span[^>]*>(\w+)</span></dt><dd[^>]*>([^<]*)</dd>", page)
    assert facts == [
        ("Temperature", "temperature", "0.5"), ("Stop texts", "stop", "END\na\\n"),
        ("Logit bias", "logit_bias", "\N{EN DASH}"),
        ("", "added_later", "3"),
        ("Tokens in the prompt", "prompt_tokens", "1,200"), ("Tokens in the answer", "completion_tokens", "8"),
        ("Who counted the tokens", "is_counted", "the engine that ran it"),
        ("From sending to the first token", "first_token_s", "0.25 s"),
    ]  # fmt: skip


def test_a_citation_is_well_formed_whatever_the_names_hold(run: Generation) -> None:
    record = run_record(run) | {"model": "a/b_c%d{e}\\:x&y"}
    bibtex = record_as_bibtex(record, "https://example.org/playground/s/a_b/")
    assert bibtex.count("{") - bibtex.count("\\{") == bibtex.count("}") - bibtex.count("\\}")
    assert r"a/b\_c\%d\{e\}\textbackslash{}:x\&y" in bibtex
    assert "url = {https://example.org/playground/s/a_b/}" in bibtex


def test_a_link_shows_the_run_to_whoever_has_it_until_it_is_revoked(
    alice_client: Client, bob_client: Client, client: Client, run: Generation
) -> None:
    change = reverse("playground:share_run", args=[run.pk])
    assert bob_client.post(change, {"do": "share"}).status_code == 404
    alice_client.post(change, {"do": "share"})
    alice_client.post(change, {"do": "share"})
    token = ShareLink.objects.get().token
    assert len(token) >= 32
    url = reverse("playground:shared", args=[token])
    record = reverse("playground:record", args=[run.pk])
    # On the page and in the file, what is cited is the address that others can open.
    for form in ({}, {"form": "bib"}):
        assert url in alice_client.get(record, form).content.decode()
    for stranger in (bob_client, client):
        response = stranger.get(url)
        page = response.content.decode()
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert "&lt;b&gt;How&lt;/b&gt;?" in page
        for private in (
            "Secret title",
            "alice",
            str(run.conversation_id),
            "Revoke",
            reverse("playground:rerun", args=[run.pk]),
        ):
            assert private not in page
        assert json.loads(stranger.get(url, {"form": "json"}).content)["id"] == str(run.pk)
    alice_client.post(change, {"do": "revoke"})
    assert client.get(url).status_code == 404
    assert client.get(url, {"form": "json"}).status_code == 404
    alice_client.post(change, {"do": "share"})
    assert client.get(url).status_code == 404
    again = ShareLink.objects.get(revoked_at=None)
    assert client.get(reverse("playground:shared", args=[again.token])).status_code == 200
    run.conversation.delete_softly()
    assert client.get(reverse("playground:shared", args=[again.token])).status_code == 404


def test_a_target_has_one_live_link_at_most(run: Generation) -> None:
    link = share(run)
    assert share(run) == link
    with pytest.raises(IntegrityError), transaction.atomic():
        ShareLink.objects.create(generation=run)


def test_a_conversation_is_shared_and_exported_the_same_way(
    alice_client: Client, bob_client: Client, client: Client, run: Generation, variant: Variant
) -> None:
    conversation = run.conversation
    add_turn(conversation, variant, run, prompt="# no heading\nline", output="Last.")
    add_turn(conversation, variant, prompt="Another beginning", output="Newest branch.")
    url = reverse("playground:export", args=[conversation.pk])
    change = reverse("playground:share_conversation", args=[conversation.pk])
    for stranger in (bob_client, client):
        assert stranger.get(url).status_code == 404
        assert (
            stranger.post(reverse("playground:share_conversation", args=[conversation.pk]), {"do": "share"}).status_code
            == 404
        )
    text = alice_client.get(url, {"form": "md"}).content.decode()
    assert text.startswith("# Secret title\n")
    assert "> Another beginning" in text
    document = json.loads(alice_client.get(url, {"form": "json"}).content)
    assert [each["prompt"] for each in document["turns"]] == ["<b>How</b>?", "# no heading\nline", "Another beginning"]
    assert [each["follows"] for each in document["turns"]] == [None, str(run.pk), None]
    alice_client.post(change, {"do": "share"})
    shared = reverse("playground:shared", args=[ShareLink.objects.get().token])
    assert "Newest branch." in client.get(shared).content.decode()
    assert client.get(shared, {"form": "md"}).status_code == 200
    assert "alice" not in client.get(shared, {"form": "json"}).content.decode()
    alice_client.post(change, {"do": "revoke"})
    assert client.get(shared).status_code == 404


def test_a_rerun_repeats_the_run_as_it_was_and_stands_beside_it(
    alice_client: Client, bob_client: Client, run: Generation
) -> None:
    url = reverse("playground:rerun", args=[run.pk])
    sent = {"request_key": str(uuid.uuid4())}
    assert bob_client.post(url, sent).status_code == 404
    response = alice_client.post(url, sent)
    again = Generation.objects.get(rerun_of=run)
    assert response["Location"] == reverse("playground:rerun", args=[again.pk])
    assert (again.messages, again.params, again.parent, again.is_repeatable) == (run.messages, run.params, None, True)
    assert alice_client.post(url, sent)["Location"] == response["Location"]
    waiting = alice_client.get(response["Location"]).content.decode()
    assert "under way" in waiting
    assert f'data-stream="{reverse("playground:events", args=[again.pk])}"' in waiting
    assert f'action="{reverse("playground:cancel", args=[again.pk])}"' in waiting
    asks_again = {"HX-Request": "true"}
    assert alice_client.get(response["Location"], headers=asks_again).status_code == 204
    assert alice_client.get(url).status_code == 404
    Generation.objects.filter(pk=again.pk).update(state=State.SUCCEEDED, finished_at=timezone.now())
    trace(run, "So", " it", " is")
    trace(again, "So", " it", " is")
    assert "Every token is the same." in alice_client.get(response["Location"], headers=asks_again).content.decode()
    trace(again, "So", " that", " was")
    page = alice_client.get(response["Location"]).content.decode()
    assert "they part at token 2" in page
    assert "So<mark> that</mark> was" in page
    assert bob_client.get(response["Location"]).status_code == 404


def test_whoever_has_the_link_runs_it_again_as_their_own_until_the_link_is_revoked(
    alice_client: Client, bob_client: Client, client: Client, run: Generation
) -> None:
    link = share(run)
    shared, url = (reverse(f"playground:{name}", args=[link.token]) for name in ("shared", "rerun_link"))
    assert url in client.get(shared).content.decode()
    assert client.get(url).status_code == 405
    assert client.post(url, {"request_key": "x"}).status_code == 404
    # Somebody who has never been here before, too.
    for reader in (client, bob_client):
        response = reader.post(url, {"request_key": str(uuid.uuid4())})
        again = Generation.objects.latest("created_at")
        assert response["Location"] == reverse("playground:rerun", args=[again.pk])
        assert (again.rerun_of, again.messages, again.params) == (run, run.messages, run.params)
        assert again.conversation != run.conversation
        assert run.conversation.title not in again.conversation.title
        Generation.objects.filter(pk=again.pk).update(state=State.SUCCEEDED, finished_at=timezone.now())
        trace(run, "So", " it", " is")
        trace(again, "So", " it", " is")
        page = reader.get(response["Location"]).content.decode()
        assert "Every token is the same." in page
        assert shared in page
        assert reverse("playground:record", args=[run.pk]) not in page
    # The one who shared sees nothing of what readers do with it.
    assert alice_client.get(response["Location"]).status_code == 404
    link.revoke()
    assert bob_client.post(url, {"request_key": str(uuid.uuid4())}).status_code == 404
    # What bob ran stays his, without what he was shown beside it.
    assert bob_client.get(response["Location"])["Location"] == again.get_absolute_url()
    polled = bob_client.get(response["Location"], headers={"HX-Request": "true"})
    assert polled["HX-Redirect"] == again.get_absolute_url()
    assert "is not shown any more" in bob_client.get(again.get_absolute_url()).content.decode()


def test_a_link_runs_no_model_that_is_not_offered_any_more(client: Client, run: Generation) -> None:
    card = run.variant.card
    card.is_published = False
    card.save()
    link = share(run)
    shared, url = (reverse(f"playground:{name}", args=[link.token]) for name in ("shared", "rerun_link"))
    assert url not in client.get(shared).content.decode()
    assert client.post(url, {"request_key": str(uuid.uuid4())}).status_code == 404


def test_a_shared_conversation_and_a_run_under_way_are_not_run_again_by_link(
    client: Client, run: Generation, variant: Variant
) -> None:
    active = add_turn(make_conversation(run.conversation.owner), variant, state=State.RUNNING)
    for target in (run.conversation, active):
        url = reverse("playground:rerun_link", args=[share(target).token])
        assert client.post(url, {"request_key": str(uuid.uuid4())}).status_code == 404


def test_why_a_rerun_differs_is_read_from_what_was_recorded(run: Generation, variant: Variant) -> None:
    now = timezone.now()
    later = add_turn(
        run.conversation,
        variant,
        provenance=PROVENANCE | {"dtype": "float32"},
        usage={"cached_tokens": 4},
        started_at=now - timedelta(seconds=5),
        finish_reason="length",
    )
    company = add_turn(run.conversation, variant, started_at=now - timedelta(seconds=2))
    Generation.objects.filter(pk__in=[later.pk, company.pk]).update(finished_at=now)
    later.refresh_from_db()
    trace(run, "a", "b")
    trace(later, "a", "c")
    said = " ".join(compare_rerun(run, later).reasons)
    assert "dtype was bfloat16 and is float32." in said
    assert "They ended differently: stop and length." in said
    assert "later run reused a prefix" in said
    assert "later run shared its batch" in said
    assert "torch" not in said


@pytest.mark.parametrize(("stopped", "said"), [("earlier", "the earlier run went"), ("later", "this run went")])
def test_a_rerun_is_exact_as_far_as_the_one_that_was_stopped_went(
    alice_client: Client, run: Generation, variant: Variant, stopped: str, said: str
) -> None:
    again = add_turn(run.conversation, variant, rerun_of=run)
    short, long = (run, again) if stopped == "earlier" else (again, run)
    Generation.objects.filter(pk=short.pk).update(state=State.CANCELLED, finish_reason="cancelled")
    trace(short, "So", " it")
    trace(long, "So", " it", " is")
    url = reverse("playground:rerun", args=[again.pk])
    page = alice_client.get(url).content.decode()
    assert f"Exact as far as {said}." in page
    assert "All of its 2 tokens are the same" in page
    assert ("<mark>" in page, "(stopped here)" in page) == (False, True)
    trace(short, "So", " that")
    assert "they part at token 2" in alice_client.get(url).content.decode()
    trace(short)
    assert "nothing to compare" in alice_client.get(url).content.decode()


def test_the_first_difference_is_where_one_goes_on_and_the_other_ends() -> None:
    one = [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]
    assert first_difference(one, one) is None
    assert first_difference(one, one[:1]) == 1
    assert first_difference([], one) == 0
    assert first_difference(one, [one[0], {"id": 3, "text": "b"}]) == 1
