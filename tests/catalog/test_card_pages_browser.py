"""The catalog's pages in a real Chromium: wide and narrow, light and dark, by axe and by keyboard."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from portal.accounts.models import User
from portal.catalog.models import CardDraft, ModelCard, TensorList
from portal.catalog.seed import seed_cards
from portal.catalog.services import publish_revision
from portal.catalog.tensor_rows import TensorRow, pack_rows
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant
from tests.catalog.test_card_pages_view import FACTS, HOSTILE
from tests.conftest import signed_in
from tests.services.accessibility import fits, violations_in_both_themes
from tests.services.installation import eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shipped_card() -> ModelCard:
    """The card that comes along, as it stands once its weights are prepared."""
    (card,) = seed_cards()
    card.variants.update(is_runnable=True, facts=FACTS)
    return card


def expect_accessible(page: Page) -> None:
    assert violations_in_both_themes(page) == []
    assert fits(page)


@pytest.mark.parametrize("width", [1280, 360])
def test_list_and_card_are_accessible_and_fit(
    tab: Page, live_server: LiveServer, shipped_card: ModelCard, width: int
) -> None:
    make_variant(make_card("upstream", title="A card with a very long title " * 5), is_runnable=False, facts={})
    tab.set_viewport_size({"width": width, "height": 900})
    shipped = shipped_card.get_absolute_url()
    more = (shipped + "outline/", shipped + "lineage/", shipped + "evidence/", "/models/acme/upstream/access/")
    for address in ("/", "/?q=smol", "/?q=nothing", shipped, "/models/acme/upstream/", *more):
        tab.goto(live_server.url + address)
        for summary in tab.locator("main summary").all():
            summary.click()
        expect_accessible(tab)


@pytest.mark.parametrize("width", [1280, 360])
def test_the_tensors_are_accessible_fit_and_open_by_keyboard(tab: Page, live_server: LiveServer, width: int) -> None:
    variant = make_variant(make_card())
    rows = [
        TensorRow(f"model.layers.{layer}.{part}_proj.weight", "BF16", (4, layer // 9 + 1), 8 * (layer // 9 + 1))
        for layer in range(30)
        for part in ("gate_" * 12, "up", "down")
    ] + [TensorRow(f"head{number}.weight", "F32", (number,), 4 * number) for number in range(100)]
    TensorList.objects.create(variant=variant, part="weights", packed=pack_rows(rows))
    TensorList.objects.create(variant=variant, part="origin", packed=pack_rows(rows[:3]))
    tab.set_viewport_size({"width": width, "height": 900})
    for query in ("?q=up", "?q=nothing", "?part=origin", ""):
        tab.goto(f"{live_server.url}/models/acme/tiny/bf16/tensors/{query}")
        expect_accessible(tab)
    layers = tab.locator("summary").filter(has_text="0\N{EN DASH}8")
    expect(tab.get_by_text("up_proj.weight").first).to_be_hidden()
    layers.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("up_proj.weight").first).to_be_visible()
    expect_accessible(tab)


@pytest.mark.parametrize("width", [1280, 360])
def test_the_empty_list_is_accessible_and_fits(tab: Page, live_server: LiveServer, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto(live_server.url)
    expect(tab.get_by_text("No cards yet")).to_be_visible()
    expect_accessible(tab)


def test_from_the_list_to_the_card_to_the_playground_by_keyboard(
    tab: Page, live_server: LiveServer, shipped_card: ModelCard
) -> None:
    tab.goto(live_server.url)
    tab.get_by_role("link", name="SmolLM2 135M Instruct").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("SmolLM2 135M Instruct")
    tab.get_by_role("link", name="Evaluation", exact=True).first.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Evaluation", exact=True)).to_be_in_viewport()
    expect(tab.get_by_role("cell", name="29.9").first).to_be_visible()
    example = tab.get_by_role("link", name="Rewrite this politely")
    example.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Prompt", exact=True)).to_have_value("Rewrite this politely: Send me the report now.")


def test_a_search_finds_by_any_word_and_keeps_it(tab: Page, live_server: LiveServer, shipped_card: ModelCard) -> None:
    make_card("other", title="Another one")
    tab.goto(live_server.url)
    tab.get_by_role("searchbox").fill("chat smollm2")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_have_text("1 card for “chat smollm2”")
    expect(tab.get_by_role("searchbox")).to_have_value("chat smollm2")
    expect(tab.get_by_role("link", name="Another one")).to_have_count(0)


def test_a_hostile_card_asks_nobody_for_anything(tab: Page, live_server: LiveServer) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    tab.goto(live_server.url + make_card(text=HOSTILE).get_absolute_url())
    expect(tab.get_by_role("link", name="pixel")).to_be_visible()
    assert [address for address in asked if not address.startswith(live_server.url)] == []


@pytest.fixture
def editor(tab: Page, live_server: LiveServer, maintainer: User) -> Page:
    """The tab of a maintainer who is signed in."""
    client = signed_in(maintainer)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    tab.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    return tab


@pytest.mark.parametrize("width", [1280, 360])
def test_history_and_editor_are_accessible_and_fit(
    editor: Page, live_server: LiveServer, bob: User, width: int
) -> None:
    card = make_card()
    changed = CARD_TEXT.replace("None to", "Nothing to").replace("apache-2.0", "mit " * 30)
    publish_revision(card, changed, bob, "A note that goes on " * 10)
    editor.set_viewport_size({"width": width, "height": 900})
    address = live_server.url + card.get_absolute_url()
    for path in ("revisions/", "revisions/1/", "revisions/2/", "revisions/compare/?from=1&to=2", "edit/"):
        editor.goto(address + path)
        for summary in editor.locator("main summary").all():
            summary.click()
        expect_accessible(editor)
    publish_revision(card, CARD_TEXT + "Theirs.\n", bob)
    editor.get_by_label("Text").fill(changed + "Mine.\n")
    with editor.expect_response(lambda response: response.status == 409):
        editor.get_by_role("button", name="Publish").click()
    expect(editor.get_by_role("heading", name="Somebody else published while you wrote")).to_be_visible()
    expect_accessible(editor)


def test_what_is_typed_is_kept_previewed_and_published(editor: Page, live_server: LiveServer) -> None:
    card = make_card()
    address = f"{live_server.url}{card.get_absolute_url()}edit/"
    editor.goto(address)
    text = editor.get_by_label("Text")
    text.press("Control+End")
    text.press_sequentially("\nA *new* thought.")
    expect(editor.get_by_text("Draft kept at")).to_be_visible()
    # An earlier keystroke's may have been kept already.
    eventually(CardDraft.objects.filter(text__contains="A *new* thought.").exists, 60, "the whole draft is kept")
    editor.reload()
    expect(editor.get_by_text("Your draft, last changed")).to_be_visible()
    expect(text).to_have_value(re.compile(r"A \*new\* thought\."))
    editor.get_by_role("button", name="Preview").click()
    expect(editor.locator("#preview em").filter(has_text="new")).to_be_visible()
    expect(editor.locator("#preview ins")).to_have_text(re.compile("thought"))
    assert editor.url == address
    editor.get_by_label("What changed").fill("A thought")
    text.press("Control+Enter")
    expect(editor.get_by_text("Revision 2 is what readers see now.")).to_be_visible()
    expect(editor.get_by_role("main").get_by_text("A new thought.")).to_be_visible()
    assert not CardDraft.objects.exists()
