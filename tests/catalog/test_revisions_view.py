"""A card's history and its editor: what they show, to whom, and that nothing typed is lost."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.accounts.models import User
from portal.catalog.models import CardDraft, CardRevision, ModelCard
from portal.catalog.services import publish_revision
from tests.catalog.shelf import CARD_TEXT, make_card
from tests.catalog.test_card_pages_view import page

pytestmark = pytest.mark.django_db
CARD = "/models/acme/tiny/"
EDIT = f"{CARD}edit/"
DRAFT = f"{CARD}edit/draft/"


def typed(text: str, *, note: str = "", based_on: int = 1, **more: str) -> dict[str, str]:
    return {"text": text.replace("\n", "\r\n"), "note": note, "based_on": str(based_on)} | more


def current(card: ModelCard) -> CardRevision:
    card.refresh_from_db()
    assert card.current_revision is not None
    return card.current_revision


# --- Reading


def test_the_history_says_who_wrote_what_and_why(client: Client, alice: User) -> None:
    card = make_card()
    publish_revision(card, CARD_TEXT + "More.\n", alice, "More <b>on</b> more")
    html = page(client, f"{CARD}revisions/")
    assert "alice" in html
    assert "More &lt;b&gt;on&lt;/b&gt; more" in html
    assert f'href="{CARD}revisions/1/"' in html
    assert f'href="{CARD}revisions/"' in page(client, CARD)
    assert "Edit" not in html.split('<main id="main"')[1].split("</main>")[0]


def test_each_revision_has_an_address_and_its_own_text(client: Client, alice: User) -> None:
    card = make_card()
    publish_revision(card, "# Changed\n\nAll new.\n", alice)
    old = page(client, f"{CARD}revisions/1/")
    assert "Intro with <em>emphasis</em>." in old
    assert "This is an earlier text." in old
    assert "All new." not in old
    assert "This is an earlier text." not in page(client, f"{CARD}revisions/2/")
    assert client.get(f"{CARD}revisions/1/README.md").content.decode() == CARD_TEXT


def test_any_two_are_compared_by_words_and_fields(client: Client, alice: User) -> None:
    card = make_card()
    publish_revision(card, CARD_TEXT.replace("None to", "Nothing to").replace("apache-2.0", "mit"), alice)
    html = page(client, f"{CARD}revisions/compare/?from=1&to=2")
    assert "<del>None</del><ins>Nothing</ins> to speak of." in html
    assert "<del>apache-2.0</del>" in html
    assert "<ins>mit</ins>" in html
    assert "<ins>None</ins>" in page(client, f"{CARD}revisions/compare/?from=2&to=1").replace(
        "<del>Nothing</del><ins>None</ins>", "<ins>None</ins>"
    )
    assert "No word and no field differs" in page(client, f"{CARD}revisions/compare/?from=2&to=2")


@pytest.mark.parametrize("query", ["", "from=1", "from=1&to=3", "from=x&to=1", "from=-1&to=1", "from=1&to=" + "9" * 50])
def test_revisions_that_are_not_there_are_not_compared(client: Client, query: str) -> None:
    make_card()
    assert client.get(f"{CARD}revisions/compare/?{query}").status_code == 404


@pytest.mark.parametrize("number", ["0", "2", "9" * 25, "9" * 5000, "x", "-1"])
def test_other_revisions_are_not_there(client: Client, number: str) -> None:
    make_card()
    assert client.get(f"{CARD}revisions/{number}/").status_code == 404


def test_a_long_history_takes_the_same_queries_as_a_short_one(client: Client, alice: User) -> None:
    card = make_card()
    with CaptureQueriesContext(connection) as short:
        page(client, f"{CARD}revisions/")
    for number in range(60):
        publish_revision(card, f"# Text {number}\n", alice)
    with CaptureQueriesContext(connection) as long:
        html = page(client, f"{CARD}revisions/")
    assert len(long) == len(short) <= 5
    assert "Page 1 of 2" in html
    assert not [query["sql"] for query in long if "Text 3" in query["sql"]]


def test_an_unpublished_cards_history_is_there_for_maintainers_alone(
    client: Client, alice_client: Client, maintainer_client: Client
) -> None:
    make_card(is_published=False)
    for path in ("revisions/", "revisions/1/", "revisions/1/README.md", "revisions/compare/?from=1&to=1"):
        for stranger in (client, alice_client):
            assert stranger.get(CARD + path).status_code == 404
        assert maintainer_client.get(CARD + path).status_code == 200


# --- Writing


@pytest.mark.parametrize("path", ["edit/", "edit/draft/", "edit/discard/", "revisions/1/restore/"])
def test_only_maintainers_write_and_nobody_else_learns_that_they_could(
    path: str, client: Client, alice_client: Client, reviewer_client: Client
) -> None:
    card = make_card()
    for stranger in (client, alice_client, reviewer_client):
        assert stranger.post(CARD + path, typed("# Mine\n") | {"based_on": "1"}).status_code == 404
    assert client.get(EDIT).status_code == 404
    assert current(card).number == 1
    assert not CardDraft.objects.exists()


def test_publishing_makes_a_revision_and_readers_see_it(maintainer_client: Client, maintainer: User) -> None:
    card = make_card()
    assert "Intro with *emphasis*." in page(maintainer_client, EDIT)
    response = maintainer_client.post(EDIT, typed(CARD_TEXT + "More.\n", note="More"))
    assert (response.status_code, response["Location"]) == (302, CARD)
    made = current(card)
    assert (made.number, made.author, made.note, made.text) == (2, maintainer, "More", CARD_TEXT + "More.\n")
    assert "Revision 2 is what readers see now." in page(maintainer_client, CARD)


def test_a_card_without_a_text_gets_its_first(maintainer_client: Client) -> None:
    card = make_card(text=None)
    assert "no text yet" in page(maintainer_client, f"{CARD}revisions/")
    page(maintainer_client, EDIT)
    maintainer_client.post(EDIT, typed("# First\n", based_on=0))
    assert current(card).number == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\nlicense: mit\nlicense: bsd\n---\nKept words\n", "Line 3: license: the field is given twice."),
        ("---\nlanguage: [no]\n---\nKept words\n", "Line 2: language[0]: must be text"),
        ("---\na: [\n---\nKept words\n", "not valid YAML"),
        ("Kept words \u0007\n", "Line 1: the control character U+0007"),
    ],
)
def test_a_bad_text_is_named_by_field_and_line_and_given_back(
    maintainer_client: Client, text: str, message: str
) -> None:
    card = make_card()
    response = maintainer_client.post(EDIT, typed(text))
    assert response.status_code == 422
    html = response.content.decode()
    assert message in html
    assert "Kept words" in html
    assert current(card).number == 1
    shown = maintainer_client.post(EDIT, typed(text, action="preview")).content.decode()
    assert message in shown
    assert "Kept words" in shown


@pytest.mark.parametrize(
    "changes", [{"text": ""}, {"note": "n" * 301}, {"based_on": "x"}, {"based_on": "-1"}, {"text": "nul \x00"}]
)
def test_a_bad_form_changes_nothing(maintainer_client: Client, changes: dict[str, str]) -> None:
    card = make_card()
    assert maintainer_client.post(EDIT, typed("# Mine\n") | changes).status_code == 422
    assert maintainer_client.post(DRAFT, typed("# Mine\n") | changes).status_code == 422
    assert current(card).number == 1
    assert not CardDraft.objects.exists()


def test_too_large_a_text_is_refused_by_its_limit(maintainer_client: Client) -> None:
    card = make_card()
    for address in (EDIT, DRAFT):
        response = maintainer_client.post(address, typed("x" * 1_000_001))
        assert response.status_code == 422
        assert "at most 1,000,000 are allowed" in response.content.decode()
    assert current(card).number == 1


def test_a_preview_shows_page_and_changes_and_publishes_nothing(maintainer_client: Client) -> None:
    card = make_card()
    response = maintainer_client.post(EDIT, typed(CARD_TEXT + "\nMore *soon*.\n<script>x</script>\n", action="preview"))
    html = response.content.decode()
    assert "<p>More <em>soon</em>." in html
    assert "<script>x" not in html
    assert "What this changes" in html
    assert current(card).number == 1


def test_the_second_of_two_editors_sees_both_texts_and_loses_nothing(maintainer_client: Client, bob: User) -> None:
    card = make_card()
    publish_revision(card, CARD_TEXT.replace("None to", "Bob's words to"), bob)
    mine = CARD_TEXT + "My words.\n"
    response = maintainer_client.post(EDIT, typed(mine, note="My note"))
    assert response.status_code == 409
    html = response.content.decode()
    for part in (
        "Somebody else published while you wrote",
        "Revision 2</a> by bob",
        "Bob&#x27;s words",
        "My words.",
        'value="My note"',
        'name="based_on" value="2"',
    ):
        assert part in html
    assert current(card).number == 2
    assert CardDraft.objects.get().text == mine
    both = CARD_TEXT.replace("None to", "Bob's words to") + "My words.\n"
    assert maintainer_client.post(EDIT, typed(both, based_on=2)).status_code == 302
    assert current(card).text == both
    assert "Bob's words" in CardRevision.objects.get(card=card, number=2).text


def test_a_draft_survives_a_reload_and_is_the_authors_alone(
    maintainer_client: Client, superuser_client: Client, maintainer: User
) -> None:
    card = make_card()
    response = maintainer_client.post(DRAFT, typed("---\nbroken: [\n---\nHalf a tho", note="Half"))
    assert "Draft kept at" in response.content.decode()
    html = page(maintainer_client, EDIT)
    assert "Half a tho" in html
    assert 'value="Half"' in html
    assert "Your draft" in html
    assert "Half a tho" not in page(superuser_client, EDIT)
    assert "Half a tho" not in page(maintainer_client, CARD)
    maintainer_client.post(EDIT, typed("# Whole\n"))
    assert not CardDraft.objects.exists()
    assert current(card).author == maintainer


def test_a_draft_that_is_the_cards_own_text_is_none(maintainer_client: Client) -> None:
    make_card()
    maintainer_client.post(DRAFT, typed(CARD_TEXT + "More.\n"))
    assert "Nothing typed yet" in maintainer_client.post(DRAFT, typed(CARD_TEXT)).content.decode()
    assert not CardDraft.objects.exists()


def test_a_draft_that_comes_behind_its_own_publication_is_none(maintainer_client: Client) -> None:
    make_card()
    whole = CARD_TEXT + "More.\n"
    assert maintainer_client.post(EDIT, typed(whole, note="More")).status_code == 302
    assert "Nothing typed yet" in maintainer_client.post(DRAFT, typed(whole, note="More")).content.decode()
    assert not CardDraft.objects.exists()
    # In another tab, older words of one's own are no less a draft.
    maintainer_client.post(DRAFT, typed(CARD_TEXT + "Mo", note="More"))
    assert CardDraft.objects.get().text == CARD_TEXT + "Mo"


def test_a_draft_can_be_discarded_and_says_when_it_is_behind(maintainer_client: Client, bob: User) -> None:
    card = make_card()
    maintainer_client.post(DRAFT, typed(CARD_TEXT + "Mine.\n"))
    publish_revision(card, CARD_TEXT + "Bob's.\n", bob)
    html = page(maintainer_client, EDIT)
    assert "Revision 2 came meanwhile" in html
    assert 'name="based_on" value="1"' in html
    assert maintainer_client.post(f"{CARD}edit/discard/").status_code == 302
    html = page(maintainer_client, EDIT)
    assert "Mine." not in html
    assert "Bob&#x27;s." in html


def test_an_earlier_text_is_restored_as_a_new_revision(maintainer_client: Client, maintainer: User) -> None:
    card = make_card()
    publish_revision(card, "# Changed\n", None)
    response = maintainer_client.post(f"{CARD}revisions/1/restore/", {"based_on": "2"})
    assert response.status_code == 302
    made = current(card)
    assert (made.number, made.text, made.author, made.note) == (3, CARD_TEXT, maintainer, "Restored revision 1")


def test_restoring_does_not_write_over_what_came_meanwhile(maintainer_client: Client, bob: User) -> None:
    card = make_card()
    publish_revision(card, "# Changed\n", None)
    publish_revision(card, "# Bob's\n", bob)
    response = maintainer_client.post(f"{CARD}revisions/1/restore/", {"based_on": "2"}, follow=True)
    assert "Nothing was restored: revision 3 came in between." in response.content.decode()
    assert current(card).number == 3
    assert maintainer_client.post(f"{CARD}revisions/1/restore/").status_code == 404
    assert maintainer_client.post(f"{CARD}revisions/9/restore/", {"based_on": "3"}).status_code == 404


def test_a_hostile_text_is_only_text_in_every_view(maintainer_client: Client) -> None:
    make_card(text='---\nlicense: "<script>alert(1)</script>"\n---\n<script>alert(1)</script> <img src=x onerror=y>\n')
    publish_revision(ModelCard.objects.get(), "# Fine\n", None, "<script>alert(1)</script>")
    for path in ("revisions/", "revisions/1/", "revisions/compare/?from=1&to=2", "edit/"):
        html = page(maintainer_client, CARD + path).split('<main id="main"')[1].split("</main>")[0]
        assert "<script>" not in html
        assert "<img" not in html


def test_a_refused_publication_keeps_what_was_typed_and_a_preview_takes_its_errors_away(
    maintainer_client: Client,
) -> None:
    make_card()
    broken = "---\npipeline_tag: [text-generation]\n---\nMy words.\n"
    refused = maintainer_client.post(EDIT, typed(broken)).content.decode()
    assert CardDraft.objects.get().text == broken
    assert "Nothing typed yet" not in refused
    assert "Draft kept at" in refused
    button = refused[refused.index('value="preview"') :].split(">")[0]
    assert "hx-post" not in button, "the part that htmx fetches has none of the errors to take away"
    mended = maintainer_client.post(EDIT, typed("My words.\n", action="preview")).content.decode()
    assert "data-error-summary" not in mended
    assert "errorlist" not in mended
    assert "hx-post" in mended[mended.index('value="preview"') :].split(">")[0]
    unkept = maintainer_client.post(EDIT, typed("# Mine\n", note="n" * 301)).content.decode()
    assert "Not kept:" in unkept
