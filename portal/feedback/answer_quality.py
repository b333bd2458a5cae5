"""The questionnaire asked about every answer: its keys, which filters and charts know, and its text."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_noop as _

from portal.feedback.answer_values import MAX_CORRECTION_CHARACTERS
from portal.feedback.models import QuestionKind

SLUG: Final = "answer-quality"
TITLE: Final = _("Answer quality")

THUMB_KEY: Final = "thumb"
UP: Final = "up"
DOWN: Final = "down"
HELPFULNESS_KEY: Final = "helpfulness"
LOWEST_RATING: Final = 1
HIGHEST_RATING: Final = 5
COMMENT_KEY: Final = "comment"
MAX_COMMENT_CHARACTERS: Final = 4_000
MARKS_KEY: Final = "marks"
CORRECTION_KEY: Final = "correction"
TOKENS_KEY: Final = "better_tokens"


def _reasons(direction: str, label: str, reasons: dict[str, str]) -> dict[str, Any]:
    return {
        "key": f"reasons_{direction}",
        "kind": QuestionKind.CHOICES,
        "label": label,
        "options": {"choices": [{"key": key, "label": text} for key, text in reasons.items()]},
        "show_if": {"key": THUMB_KEY, "equals": direction},
    }


QUESTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "key": THUMB_KEY,
        "kind": QuestionKind.THUMB,
        "label": _("How was this answer?"),
        "options": {"choices": [{"key": UP, "label": _("Good answer")}, {"key": DOWN, "label": _("Bad answer")}]},
        "is_required": True,
    },
    {
        "key": HELPFULNESS_KEY,
        "kind": QuestionKind.RATING,
        "label": _("How helpful was it?"),
        "options": {
            "min": LOWEST_RATING,
            "max": HIGHEST_RATING,
            "anchors": {
                "1": _("Useless"),
                "2": _("A little"),
                "3": _("Partly"),
                "4": _("Mostly"),
                "5": _("Exactly right"),
            },
        },
    },
    _reasons(
        UP,
        _("What is good about it?"),
        {
            "correct": _("Correct"),
            "complete": _("Complete"),
            "clear": _("Clear and well written"),
            "concise": _("To the point"),
            "followed_instructions": _("Did what I asked"),
            "creative": _("Original"),
        },
    ),
    _reasons(
        DOWN,
        _("What is wrong with it?"),
        {
            "incorrect": _("Wrong facts or reasoning"),
            "incomplete": _("Something is missing"),
            "ignored_instructions": _("Did not do what I asked"),
            "off_topic": _("Off topic"),
            "repetitive": _("Repeats itself"),
            "unclear": _("Hard to understand"),
            "wrong_language": _("Wrong language"),
            "refused": _("Refused without need"),
            "harmful": _("Harmful or biased"),
        },
    ),
    {
        "key": COMMENT_KEY,
        "kind": QuestionKind.TEXT,
        "label": _("Comment"),
        "options": {"max_characters": MAX_COMMENT_CHARACTERS},
    },
    {
        "key": MARKS_KEY,
        "kind": QuestionKind.SPANS,
        "label": _("Passages"),
        "help": _("Mark the words that are wrong, or right, and say why."),
        "options": {
            "choices": [
                {"key": "wrong_fact", "label": _("Wrong fact")},
                {"key": "wrong_reasoning", "label": _("Wrong reasoning")},
                {"key": "made_up", "label": _("Made up, such as a source that does not exist")},
                {"key": "harmful", "label": _("Harmful or biased")},
                {"key": "language", "label": _("Language or spelling")},
                {"key": "needless", "label": _("Needless or repeated")},
                {"key": "good", "label": _("Especially good")},
            ]
        },
    },
    {
        "key": CORRECTION_KEY,
        "kind": QuestionKind.CORRECTION,
        "label": _("Corrected answer"),
        "help": _("Change the answer into the one that you would have liked to get."),
        "options": {"max_characters": MAX_CORRECTION_CHARACTERS},
    },
    {
        "key": TOKENS_KEY,
        "kind": QuestionKind.TOKEN,
        "label": _("Better tokens"),
        "help": _("Where the model took the wrong turn: what it should have written next."),
        "options": {},
    },
)
