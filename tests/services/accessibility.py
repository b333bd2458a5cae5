"""What axe finds wrong with a page as it stands."""

from __future__ import annotations

import json
from typing import Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_OPTIONS: Final = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # Of what is right, axe would otherwise describe every node.
    "resultTypes": ["violations"],
}
_SETTLED_AFTER_MS: Final = 600
_LOOK: Final = f"""async () => {{
  // A colour half-way through its transition is no colour of ours. What turns for ever is not waited for.
  const ending = () => document.getAnimations().filter(each => each.effect.getComputedTiming().endTime !== Infinity);
  for (let running = ending(); running.length; running = ending()) {{
    await Promise.allSettled(running.map(each => each.finished));
  }}
  const found = await axe.run({json.dumps(_OPTIONS)});
  return found.violations.map(each => [each.id, each.nodes.map(node => node.html)]);
}}"""


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Each rule that the page breaks, with the elements that break it, once its finite animations have ended.

    What looks wrong is looked at again: a button that is enabled while axe reads the page starts a transition that
    nobody could wait for, and only what stays is a fault of ours.
    """
    # Half a megabyte that a page needs once.
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    if not page.evaluate(_LOOK):
        return []
    page.wait_for_timeout(_SETTLED_AFTER_MS)
    return [(rule, elements) for rule, elements in page.evaluate(_LOOK)]


def fits(page: Page) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def widest(page: Page) -> list[str]:
    """What reaches beyond the page's edge, for the message of a test that found something does."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map((each) => `${each.tagName} .${each.className} ${each.textContent.trim().slice(0, 60)}`)"""
    )
    return found[:12]
