"""What axe finds wrong with a page as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

ALL_RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# What another theme of the same page can break.
COLOUR_RULES: Final = ("color-contrast", "link-in-text-block")
_SETTLED_AFTER_MS: Final = 600
_LOOK: Final = """async (rules) => {
  // A colour half-way through its transition is no colour of ours. What turns for ever is not waited for.
  const ending = () => document.getAnimations().filter(each => each.effect.getComputedTiming().endTime !== Infinity);
  const longEnough = () => new Promise(resolve => setTimeout(resolve, 1000));
  for (let running = ending(); running.length; running = ending()) {
    // One whose element was taken out of the page may never say that it has ended.
    await Promise.race([Promise.allSettled(running.map(each => each.finished)), longEnough()]);
  }
  // Of what is right, axe would otherwise describe every node.
  const found = await axe.run({ runOnly: rules, resultTypes: ["violations"] });
  return found.violations.map(each => [each.id, each.nodes.map(node => node.html)]);
}"""


def violations(page: Page, rules: Sequence[str] = ALL_RULES) -> list[tuple[str, list[str]]]:
    """Each rule (or rule of these sets) that the page breaks, with the elements that break it.

    It looks once the page's finite animations have ended. What looks wrong is looked at again: a button that is
    enabled while axe reads the page starts a transition that nobody could wait for, and only what stays is a fault of
    ours.
    """
    # Half a megabyte that a page needs once.
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    if not page.evaluate(_LOOK, rules):
        return []
    page.wait_for_timeout(_SETTLED_AFTER_MS)
    return [(rule, elements) for rule, elements in page.evaluate(_LOOK, rules)]


def violations_in_both_themes(page: Page) -> list[tuple[str, list[str]]]:
    """What `violations` finds in the light theme, and what the dark one's colours break. The page is light again."""
    page.emulate_media(color_scheme="light")
    found = violations(page)
    page.emulate_media(color_scheme="dark")
    found += violations(page, COLOUR_RULES)
    page.emulate_media(color_scheme="light")
    return found


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
