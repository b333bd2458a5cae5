"""A closer look at an answer: marks, a correction, a better token, reports; for the person who asked alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal import __version__
from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.playground.models import Generation, State, TokenTrace
from portal.reviews.queries.item_page import runs_of
from tests.conftest import signed_in
from tests.feedback.judgements import branch_from, judge, make_generation

pytestmark = pytest.mark.django_db

OUTPUT = "Ein Laufgewicht 🐟 wiegt.\nErfunden hat es Napoleon."
TOKENS = [
    {"id": 1, "text": "Ein", "top": [{"id": 1, "text": "Ein"}, {"id": 2, "text": "Das"}]},
    {"id": 3, "text": " Laufgewicht", "top": [{"id": 3, "text": " Laufgewicht"}]},
]


@pytest.fixture
def run(alice: User) -> Generation:
    run = make_generation(alice, output=OUTPUT)
    TokenTrace.objects.create(generation=run, tokens=TOKENS)
    return run


def url(name: str, *args: Any) -> str:
    return reverse(f"feedback:{name}", args=args)


def save(client: Client, run: Generation, **fields: Any) -> Any:
    return client.post(url("closer", run.pk), {"thumb": "down", "version": "0", "correction": OUTPUT, **fields})


def said() -> dict[str, Any]:
    return Submission.objects.get().values()


def test_words_are_marked_by_their_place_or_by_quoting_them_and_taken_away_again(
    alice_client: Client, run: Generation
) -> None:
    by_place = {
        "marks.new_start": "16",
        "marks.new_end": "17",
        "marks.new_label": "needless",
        "marks.new_note": "Fish?",
    }
    assert save(alice_client, run, **by_place).status_code == 302
    fish = {"start": 16, "end": 17, "quote": "🐟", "label": "needless", "note": "Fish?"}
    assert said() == {"thumb": "down", "marks": [fish]}
    kept = {f"marks.{name}": str(fish[name]) for name in ("start", "end", "label", "note")}
    quoted = {"marks.new_quote": "Napoleon", "marks.new_label": "wrong_fact"}
    assert save(alice_client, run, **kept, **quoted, version="1").status_code == 302
    start = OUTPUT.index("Napoleon")
    napoleon = {"start": start, "end": start + 8, "quote": "Napoleon", "label": "wrong_fact", "note": ""}
    assert said()["marks"] == [fish, napoleon]
    page = alice_client.get(url("closer", run.pk)).content.decode()
    assert "🐟</q>" in page
    assert save(alice_client, run, **kept, **{"marks.remove": "16-17"}, version="2").status_code == 302
    assert "marks" not in said()


def test_a_mark_goes_on_the_list_and_nothing_is_saved_before_save(alice_client: Client, run: Generation) -> None:
    half = OUTPUT.replace("Napoleon", "niem")
    new = {"marks.new_quote": "Napoleon", "marks.new_label": "wrong_fact", "marks.new_note": "Ask a@example.org"}
    response = save(alice_client, run, correction=half, mark="marks", **new)
    page = response.content.decode()
    assert response.status_code == 200
    start = OUTPUT.index("Napoleon")
    assert f'name="marks.start" value="{start}"' in page
    assert f"{half}</textarea>" in page
    assert "It is not saved yet" in page
    assert "looks like personal data" not in page, "nothing was sent"
    assert not Submission.objects.exists()
    listed = {"marks.start": start, "marks.end": start + 8, "marks.label": "wrong_fact", "marks.note": "He did not."}
    assert save(alice_client, run, **listed).status_code == 302
    assert [mark["quote"] for mark in said()["marks"]] == ["Napoleon"]
    again = save(alice_client, run, **listed, correction="write to a@example.org", version="1").content.decode()
    assert "What you changed has not been sent yet" in again
    assert save(alice_client, run, mark="correction", version="1").status_code == 404


def test_what_cannot_be_a_mark_stays_in_its_fields(alice_client: Client, run: Generation) -> None:
    wrong = {"marks.new_quote": "Wellington", "marks.new_label": "needless", "marks.new_note": "Who?"}
    for more in ({}, {"mark": "marks"}):
        response = save(alice_client, run, **wrong, **more)
        page = response.content.decode()
        assert response.status_code == 422
        assert "Wellington</textarea>" in page
        assert 'value="needless" selected' in page
        assert 'name="marks.start"' not in page
    nothing = save(alice_client, run, mark="marks")
    assert (nothing.status_code, "Select words of the answer first" in nothing.content.decode()) == (422, True)


def test_words_that_do_not_stand_there_are_refused_and_nothing_is_stored(alice_client: Client, run: Generation) -> None:
    response = save(alice_client, run, **{"marks.new_quote": "Wellington", "marks.new_label": "wrong_fact"})
    assert response.status_code == 422
    assert "does not have the quoted words" in response.content.decode()
    assert not Submission.objects.exists()


def test_an_answer_is_corrected_and_the_difference_shown(alice_client: Client, run: Generation) -> None:
    corrected = OUTPUT.replace("Napoleon", "niemand")
    shown = alice_client.post(url("difference", run.pk), {"correction": corrected}, headers={"HX-Request": "true"})
    page = shown.content.decode()
    assert "<del>Napoleon</del>" in page
    assert "<ins>niemand</ins>" in page
    assert not Submission.objects.exists()
    without_script = alice_client.post(url("difference", run.pk), {"correction": corrected, "thumb": "down"})
    assert "<del>Napoleon</del>" in without_script.content.decode()
    assert save(alice_client, run, correction=corrected).status_code == 302
    assert said() == {"thumb": "down", "correction": corrected}
    assert "<del>Napoleon</del>" in alice_client.get(url("closer", run.pk)).content.decode()
    assert Submission.objects.get().shown["output_sha256"] == (
        __import__("hashlib").sha256(OUTPUT.encode()).hexdigest()
    )


def test_the_foot_of_the_page_names_the_portals_version_and_not_the_judgements(
    alice_client: Client, run: Generation
) -> None:
    save(alice_client, run, thumb="up")
    page = alice_client.get(url("closer", run.pk)).content.decode()
    assert f'<span class="mono">{__version__}</span>' in page[page.index("<footer") :]


def test_the_panel_keeps_what_was_said_on_the_closer_page(alice_client: Client, run: Generation) -> None:
    save(alice_client, run, correction="Besser so.")
    alice_client.post(url("panel", run.pk), {"thumb": "down", "helpfulness": "2", "version": "1"})
    assert said() == {"thumb": "down", "helpfulness": 2, "correction": "Besser so."}


def test_a_better_token_is_one_that_the_model_thought_of(alice_client: Client, run: Generation) -> None:
    page = alice_client.get(url("token", run.pk, 0)).content.decode()
    assert "<mark>Ein</mark>" in page
    fields = {"thumb": "down", "version": "0"}
    assert alice_client.post(url("token", run.pk, 0), {**fields, "alternative": "2"}).status_code == 302
    assert said()["better_tokens"] == [
        {"index": 0, "token": 1, "text": "Ein", "alternative": 2, "alternative_text": "Das"}
    ]
    refused = alice_client.post(url("token", run.pk, 0), {**fields, "alternative": "77", "version": "1"})
    assert refused.status_code == 422
    assert "The alternatives of token 0 are: 2." in refused.content.decode()
    assert alice_client.post(url("token", run.pk, 0), {**fields, "alternative": "", "version": "1"}).status_code == 302
    assert "better_tokens" not in said()
    assert alice_client.get(url("token", run.pk, 2)).status_code == 404


def test_of_an_answer_that_is_being_written_no_token_is_judged_yet(alice_client: Client, alice: User) -> None:
    waits = make_generation(alice, state=State.QUEUED)
    assert alice_client.get(url("token", waits.pk, 0))["Location"] == url("panel", waits.pk)


def test_a_conflict_and_a_review_keep_what_was_entered(alice_client: Client, alice: User, run: Generation) -> None:
    judge(alice, run, thumb="up")
    stale = save(alice_client, run, correction="Besser so.", version="0")
    assert stale.status_code == 409
    assert "Besser so.</textarea>" in stale.content.decode()
    Submission.objects.get().move_review(["unreviewed"], "rejected", "Not reproducible.")  # type: ignore[arg-type, list-item]
    reviewed = save(alice_client, run, correction="Besser so.", version="1")
    assert reviewed.status_code == 409
    assert "it cannot be changed, only withdrawn" in reviewed.content.decode()
    assert said() == {"thumb": "up"}


def test_a_report_is_a_submission_of_its_own_beside_the_judgement(
    alice_client: Client, alice: User, run: Generation
) -> None:
    judge(alice, run)
    address = url("report_answer", run.pk, "factual-error")
    assert alice_client.get(address).status_code == 200
    missing = alice_client.post(address, {"claim": "Napoleon did."})
    assert missing.status_code == 422
    fields = {"claim": "Napoleon did.", "truth": "Nobody knows who did it first.", "certainty": "4"}
    assert "Sent, thank you." in alice_client.post(address, fields, follow=True).text
    assert Submission.objects.filter(generation=run).count() == 2
    report = Submission.objects.get(questionnaire_slug="factual-error")
    assert report.values() == {**fields, "certainty": 4}
    assert report.card == run.variant.card
    assert alice_client.post(address, {**fields, "certainty": "5", "version": "1"}).status_code == 302
    assert Submission.objects.get(questionnaire_slug="factual-error").values()["certainty"] == 5
    assert alice_client.get(url("report_answer", run.pk, "comparison")).status_code == 404


def test_a_card_takes_several_reports(alice_client: Client, run: Generation) -> None:
    card = run.variant.card
    card.is_published = True
    card.save()
    asked = url("card_questionnaires", card.owner_name, card.slug)
    assert f'href="{asked}"' in alice_client.get(card.get_absolute_url()).content.decode()
    assert "Bias report" in alice_client.get(asked).content.decode()
    address = url("report_card", card.owner_name, card.slug, "bias-report")
    fields = {"about": ["age"], "happened": "Old people are always ill in its stories."}
    for _time in range(2):
        assert alice_client.post(address, fields).status_code == 302
    assert Submission.objects.filter(target="card", card=card).count() == 2
    assert alice_client.get(url("report_card", "nobody", "here", "bias-report")).status_code == 404
    card.is_published = False
    card.save()
    assert alice_client.get(asked).status_code == 404


def test_of_two_versions_that_part_at_a_token_one_is_said_to_be_better(alice_client: Client, run: Generation) -> None:
    branch = branch_from(run, output="Das wiegt.")
    address = url("token_choice", branch.pk)
    assert f'href="{address}"' in alice_client.get(branch.get_absolute_url()).content.decode()
    page = alice_client.get(address).content.decode()
    assert ('<span class="muted"></span>Das wiegt.' in page, "Napoleon" in page) == (True, True)
    assert alice_client.post(address, {"better": "neither"}).status_code == 422
    assert not Submission.objects.exists()
    assert alice_client.post(address, {"better": "branch", "why": "Kürzer.", "consent": "review"}).status_code == 302
    said_of_both = Submission.objects.get()
    assert said_of_both.values() == {"better": "branch", "why": "Kürzer."}
    assert (said_of_both.consent, said_of_both.generation) == ("review", branch)
    assert said_of_both.shown["branched_from"] == str(run.pk)
    assert address in alice_client.get("/contributions/").content.decode()
    assert runs_of(said_of_both) == [branch, run]
    assert alice_client.post(address, {"better": "tie", "version": "1"}).status_code == 302
    assert Submission.objects.get().values() == {"better": "tie"}
    assert alice_client.put(address).status_code == 405


def test_without_two_versions_to_read_nothing_is_asked_about_them(
    alice_client: Client, run: Generation, bob: User, client: Client
) -> None:
    branch = branch_from(run, output="Das wiegt.")
    for browser in (signed_in(bob), client):
        for method in (browser.get, browser.post):
            assert method(url("token_choice", branch.pk)).status_code == 404
    assert alice_client.get(url("token_choice", run.pk)).status_code == 404
    assert alice_client.get(url("report_answer", run.pk, "token-choice")).status_code == 404
    Generation.objects.filter(pk=branch.pk).update(output="")
    assert alice_client.post(url("token_choice", branch.pk), {"better": "branch"}).status_code == 404
    assert not Submission.objects.exists()


def test_other_peoples_answers_do_not_exist(run: Generation, bob: User, client: Client) -> None:
    pages = (
        url("closer", run.pk),
        url("token", run.pk, 0),
        url("report_answer", run.pk, "harm-report"),
    )
    for browser in (signed_in(bob), client):
        for address in pages:
            assert browser.get(address).status_code == 404
            assert browser.post(address, {"thumb": "up"}).status_code == 404
        assert browser.post(url("difference", run.pk), {"correction": "x"}).status_code == 404
    assert signed_in(bob).get(url("difference", run.pk)).status_code == 405
