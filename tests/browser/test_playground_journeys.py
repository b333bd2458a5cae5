"""Journeys through the playground: a real Chromium, the real worker, the real weights."""

from __future__ import annotations

import json
import re
import urllib.request
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Dialog, Request, Route, expect

from tests.browser.visitor import ANSWER_WITHIN_MS, Visitor
from tests.services.installation import Installation, eventually, manage

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.processes]

STORY = "Write a long story about a lighthouse keeper and a storm."


def feedback_read_over_rest(portal: Installation) -> list[dict[str, Any]]:
    """What a client with a token of its own reads."""
    token = manage(
        portal.home, "create_token", "--user", "admin", "--scope", "read", "--scope", "export"
    ).stdout.strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{portal.port}/api/v1/feedback/", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        document = json.load(answer)
    results: list[dict[str, Any]] = document["results"]
    return results


def test_from_the_card_to_a_judgement_that_a_client_reads(visitor: Visitor, portal: Installation) -> None:
    page = visitor.page
    page.goto("/")
    page.get_by_role("link", name="SmolLM2 135M Instruct").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("SmolLM2")
    page.get_by_role("main").get_by_role("link", name="Try the model").first.click()
    expect(page).to_have_url(re.compile(r"/playground/\?variant=HuggingFaceTB/SmolLM2-135M-Instruct"))

    visitor.ask_for(2_000, least=2_000).send(STORY)
    expect(page).to_have_url(re.compile(r"/playground/c/[0-9a-f-]{36}/$"))
    expect(visitor.send_button).to_be_disabled()
    visitor.wait_for_text(120)
    # Tokens arrive one after another: in many small steps, and in a large one where something stood still.
    eventually(
        lambda: sum(0 < after - before < 120 for before, after in pairwise(page.evaluate("window.lengths"))) >= 10,
        ANSWER_WITHIN_MS / 1000,
        "the text grows in small steps",
    )

    page.get_by_role("button", name="Stop").click()
    visitor.wait_for_the_end()
    expect(visitor.figures).to_contain_text("Stopped")
    expect(visitor.send_button).to_be_enabled()
    output = visitor.newest_output()
    assert len(output) >= 120

    page.get_by_text("Good answer", exact=True).click()
    expect(page.locator("[data-feedback]")).to_contain_text("Saved")

    def read() -> list[dict[str, Any]]:
        return [each for each in feedback_read_over_rest(portal) if each["output"] == output]

    [judgement] = eventually(read, 60, "the judgement is in GET /api/v1/feedback/")
    assert judgement["answers"]["thumb"] == "up"


def test_a_reload_in_mid_stream_goes_on_where_it_was(visitor: Visitor) -> None:
    visitor.open_playground().ask_for(2_000, least=2_000).send(STORY)
    before = visitor.wait_for_text(30)
    visitor.page.reload()
    assert visitor.wait_for_text(len(before)).startswith(before)
    visitor.page.get_by_role("button", name="Stop").click()
    visitor.wait_for_the_end()
    # Complete, contiguous, nothing twice.
    assert visitor.streamed_text == visitor.newest_output()


def test_a_web_process_that_dies_in_mid_stream_costs_seconds_and_no_token(
    visitor: Visitor, portal: Installation
) -> None:
    visitor.open_playground().set("Max tokens", "90").send(STORY)
    visitor.wait_for_text(20)
    portal.named("uvicorn").kill()
    visitor.wait_for_the_end()
    assert visitor.streamed_text == visitor.newest_output()


# Each status with the figures beside it, and every sentence for screen readers: the page keeps the last ones alone.
REMEMBER = """
() => {
  window.statuses = [];
  window.heard = [];
  const status = document.querySelector("[data-status]");
  const figures = ["tokens", "speed"].map((each) => document.querySelector(`[data-run-${each}]`));
  new MutationObserver(() => window.statuses.push([status.textContent, ...figures.map((each) => !each.hidden)]))
    .observe(status, { childList: true, characterData: true, subtree: true });
  new MutationObserver((changes) => changes.forEach((change) => window.heard.push(
    ...[...change.addedNodes].map((each) => each.textContent)
  ))).observe(document.getElementById("announcer"), { childList: true });
}
"""
AGAIN = "The run was lost and begins again"


def test_a_worker_that_dies_in_mid_stream_is_said_and_the_run_begins_again(
    visitor: Visitor, portal: Installation
) -> None:
    page = visitor.page
    visitor.open_playground().ask_for(2_000, least=2_000).send(STORY)
    visitor.wait_for_text(60)
    page.evaluate(REMEMBER)
    portal.named("celery").kill()
    eventually(lambda: AGAIN in page.evaluate("window.heard"), ANSWER_WITHIN_MS / 1000, "the new beginning is said")
    expect(page.locator("[data-status]")).to_have_text("Writing", timeout=ANSWER_WITHIN_MS)
    statuses = page.evaluate("window.statuses")
    silent = [each for each in statuses if re.match(r"No token for \d+ s, waiting for the worker$", each[0])]
    assert silent
    assert not any(has_speed for _status, _has_tokens, has_speed in silent)
    # No figure of the lost attempt stands beside the sentence, and nothing takes its place before the first token.
    reset = next(at for at, (status, *_) in enumerate(statuses) if status == AGAIN)
    assert statuses[reset][1:] == [False, False]
    assert statuses[reset + 1][0] == "Writing"
    page.get_by_role("button", name="Stop").click()
    visitor.wait_for_the_end()
    expect(visitor.figures).to_contain_text("Stopped by you")
    expect(page.locator("#announcer p").last).to_have_text("The answer was stopped by you.")
    assert page.evaluate("window.heard").count(AGAIN) == 1


def test_a_lost_connection_is_said_in_words_and_tried_again(visitor: Visitor) -> None:
    visitor.page.route("**/events/", lambda route: route.fulfill(status=503, body=""))
    visitor.open_playground().set("Max tokens", "20").send("Say hello.")
    expect(visitor.page.get_by_text("Connection lost, trying again")).to_be_visible()
    visitor.page.unroute("**/events/")
    visitor.wait_for_the_end()
    expect(visitor.answers).to_have_count(1)


def test_several_turns_are_kept_listed_and_reopened(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_playground().set("Max tokens", "16").set("Temperature", "0.35").ask("Name a balance with two arms.")
    visitor.ask("And one with one arm?")
    expect(visitor.answers).to_have_count(2)
    expect(visitor.prompt).to_be_focused()
    expect(visitor.prompt).to_have_value("")
    page.get_by_role("link", name="My conversations").click()
    row = page.get_by_role("listitem").filter(has_text="Name a balance with two arms.")
    expect(row).to_contain_text("2 turns")
    row.get_by_role("link", name="Name a balance with two arms.", exact=True).click()
    expect(page.locator("[data-exchange]")).to_have_count(2)
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_value("0.35")
    visitor.ask("Which is older?")
    messages = visitor.database("SELECT messages FROM playground_generation ORDER BY created_at DESC LIMIT 1")[0][0]
    assert [each["role"] for each in json.loads(messages)] == ["user", "assistant", "user", "assistant", "user"]


def test_with_the_keyboard_alone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_playground().ask_for(2_000, least=2_000)
    for _ in range(25):
        page.keyboard.press("Tab")
        if visitor.prompt.evaluate("field => field === document.activeElement"):
            break
    expect(visitor.prompt).to_be_focused()
    page.keyboard.type(STORY)
    page.keyboard.press("Control+Enter")
    visitor.wait_for_text(10)
    expect(visitor.prompt).to_be_focused()
    page.keyboard.press("Escape")
    visitor.wait_for_the_end()
    expect(visitor.figures).to_contain_text("Stopped")
    # What was typed meanwhile is still there, and so is the place where it was typed.
    expect(visitor.prompt).to_be_focused()
    # Back from the prompt, past the figures, to the judgement.
    expect(page.locator("[data-feedback]")).to_be_visible()
    visitor.settle()
    page.wait_for_timeout(250)
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.feedback__thumb')"):
            break
    page.keyboard.press("Space")
    expect(page.locator("[data-feedback]")).to_contain_text("Saved")


def test_stopping_with_the_button_keeps_ones_place(visitor: Visitor) -> None:
    visitor.open_playground().ask_for(2_000, least=2_000).send(STORY)
    visitor.wait_for_text(10)
    stop = visitor.page.get_by_role("button", name="Stop")
    stop.focus()
    visitor.page.keyboard.press("Enter")
    visitor.wait_for_the_end()
    # It is put there when htmx has settled the answer.
    expect(visitor.page.locator(".answer:focus")).to_have_count(1)


def test_a_stop_that_overtakes_the_end_leaves_nothing_to_complain_of(visitor: Visitor) -> None:
    page, held = visitor.page, list[Route]()
    rendering = re.compile(r"/playground/g/[0-9a-f-]{36}/$")
    page.route(rendering, lambda route: held.append(route))  # noqa: PLW0108 - Playwright sets attributes on it
    with page.expect_request(rendering):
        visitor.open_playground().ask_for(4).send(STORY)
    page.get_by_role("button", name="Stop").click()
    visitor.wait_for_the_end()
    with page.expect_response(rendering):
        held[0].continue_()
    visitor.settle()
    expect(visitor.figures).to_have_count(1)


def test_escape_closes_what_is_open_before_it_stops(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_playground().ask_for(2_000, least=2_000).send(STORY)
    visitor.wait_for_text(5)
    page.locator("main").press("?")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Stopping")).to_have_count(0)
    page.keyboard.press("Escape")
    visitor.wait_for_the_end()
    expect(visitor.figures).to_contain_text("Stopped")


def test_a_draft_survives_a_reload_and_a_refusal_until_the_server_has_taken_it(
    visitor: Visitor, browser_context: BrowserContext
) -> None:
    page = visitor.page
    visitor.open_playground()
    visitor.prompt.press_sequentially("A draft of a prompt")
    page.reload()
    expect(visitor.prompt).to_have_value("A draft of a prompt")
    visitor.set("Temperature", "9")
    visitor.prompt.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Temperature: At most 2.")
    expect(visitor.prompt).to_have_value("A draft of a prompt")
    visitor.set("Temperature", "0.5").set("Max tokens", "8")
    browser_context.set_offline(True)
    visitor.prompt.press("Control+Enter")
    expect(page.get_by_text("The portal could not be reached.")).to_be_visible()
    expect(visitor.prompt).to_have_value("A draft of a prompt")
    browser_context.set_offline(False)
    visitor.prompt.press("Control+Enter")
    visitor.wait_for_the_end()
    expect(visitor.answers).to_have_count(1)
    visitor.open_playground()
    expect(visitor.prompt).to_have_value("")


def test_a_run_that_fails_says_why_and_can_be_tried_again(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_playground().set("Max tokens", "8").ask("Say hello.")
    # What does not fit the context is refused before it runs, so the failure is written behind the portal's back.
    visitor.database(
        "UPDATE playground_generation SET state = 'failed', output = '', finish_reason = '', error_code = 'internal',"
        " error_message = 'The engine broke.' WHERE created_at = (SELECT max(created_at) FROM playground_generation)"
    )
    page.reload()
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_contain_text("There is no answer: the run failed.")
    expect(answer).to_contain_text("internal")
    with page.expect_response(lambda response: response.url.endswith("/retry/")) as retried:
        page.get_by_role("button", name="Try again").click()
    assert retried.value.status == 200
    expect(visitor.answers).to_have_count(1, timeout=ANSWER_WITHIN_MS)
    expect(page.locator("[data-exchange]")).to_have_count(1)
    visitor.ask("And goodbye.")
    expect(visitor.answers).to_have_count(2)


HOSTILE = (
    "<script>window.owned = 1</script>\n\n<img src=x onerror='window.owned = 2'>\n\n"
    "![pixel](https://evil.example/pixel.png)\n\n[link](javascript:window.owned=3)\n\n"
    "<svg onload='window.owned = 4'></svg>\n\n<div hx-get='/playground/' hx-trigger='load'></div>\n\n"
    "<style>body { display: none }</style>\n\n" + "a" * 20_000
)


def test_what_a_hostile_model_writes_stays_text(visitor: Visitor, browser_context: BrowserContext) -> None:
    page = visitor.page
    asked: list[str] = []
    shown: list[str] = []

    def note(request: Request) -> None:
        if "evil.example" in request.url or request.url.endswith("/x"):
            asked.append(request.url)

    def put_away(dialog: Dialog) -> None:
        shown.append(dialog.message)
        dialog.dismiss()

    browser_context.on("request", note)
    page.on("dialog", put_away)
    delta = json.dumps({"text": HOSTILE, "channel": "answer", "tokens": []})
    asking: list[Route] = []

    def answer_the_first(route: Route) -> None:
        asking.append(route)
        if len(asking) == 1:
            route.fulfill(content_type="text/event-stream", body=f"event: delta\nid: 1-1\ndata: {delta}\n\n")

    page.route("**/events/", answer_the_first)
    visitor.open_playground().set("Max tokens", "8").send("Say hello.")
    assert visitor.wait_for_text(len(HOSTILE)) == HOSTILE
    # Now it goes on with what the model really wrote.
    for waiting in asking[1:]:
        waiting.continue_()
    page.unroute("**/events/")
    visitor.wait_for_the_end()
    visitor.database("UPDATE playground_generation SET output = ?, thinking = ?", HOSTILE, HOSTILE)
    page.reload()
    expect(visitor.answers).to_contain_text("<script>window.owned = 1</script>")
    link = page.locator(".prose--answer a", has_text="pixel")
    expect(link).to_have_attribute("rel", "nofollow noopener ugc")
    assert page.evaluate("window.owned") is None
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
    assert (asked, shown) == ([], [])
    page_width, width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert page_width <= width


def test_without_scripts_the_page_shows_the_answer_by_itself(visitor: Visitor, portal: Installation) -> None:
    browser = visitor.page.context.browser
    assert browser is not None
    context = browser.new_context(base_url=f"http://127.0.0.1:{portal.port}", java_script_enabled=False)
    page = context.new_page()
    page.goto("/playground/")
    page.locator("#id_prompt").fill("Say hello.")
    page.locator("#id_max_tokens").fill("24")
    page.get_by_role("button", name="Send").click()
    # Playwright's text locators leave <noscript> out.
    expect(page.locator("noscript p").or_(page.locator(".prose--answer"))).to_be_visible()
    expect(page.locator(".prose--answer")).to_be_visible(timeout=ANSWER_WITHIN_MS)
    context.close()
