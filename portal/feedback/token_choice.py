"""Which version of an answer is better: the one that goes on from another token, or the one that it began as."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_noop as _

from portal.feedback.models import QuestionKind
from portal.playground.models import FINAL_STATES, Generation

SLUG: Final = "token-choice"
TITLE: Final = _("Which version is better?")
INTRO: Final = _("Both begin with the same words and part at the token that you chose.")
BETTER_KEY: Final = "better"
BRANCH: Final = "branch"
ORIGINAL: Final = "original"
TIE: Final = "tie"
BOTH_BAD: Final = "both_bad"

QUESTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "key": BETTER_KEY,
        "kind": QuestionKind.CHOICE,
        "label": _("Which one is better?"),
        "is_required": True,
        "options": {
            "choices": [
                {"key": BRANCH, "label": _("The version with your token")},
                {"key": ORIGINAL, "label": _("The version before")},
                {"key": TIE, "label": _("Equally good")},
                {"key": BOTH_BAD, "label": _("Both are bad")},
            ]
        },
    },
    {"key": "why", "kind": QuestionKind.TEXT, "label": _("Why?"), "options": {"max_characters": 4_000}},
)


def version_before(generation: Generation) -> Generation | None:
    """The answer that `generation` was branched from, once both can be read; None where there is nothing to compare."""
    original = generation.branched_from
    both_are_there = original is not None and all(
        each.state in FINAL_STATES and each.output for each in (generation, original)
    )
    return original if both_are_there else None
