"""The questionnaires and the campaign that come along, as they are written here; maintainers make versions of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext_noop as _

from portal.feedback import answer_quality, token_choice
from portal.feedback.models import QuestionKind


@dataclass(frozen=True, slots=True)
class Shipped:
    """A questionnaire with its questions, and what it may be asked about."""

    slug: str
    title: str
    questions: tuple[dict[str, Any], ...]
    intro: str = ""
    asked_about: dict[str, bool] = field(default_factory=dict)


def _choices(**labels: str) -> dict[str, Any]:
    return {"choices": [{"key": key, "label": label} for key, label in labels.items()]}


def _comment(key: str, label: str, *, is_required: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "kind": QuestionKind.TEXT,
        "label": label,
        "is_required": is_required,
        "options": {"max_characters": 4_000},
        **more,
    }


_SEVERITY: Final = {
    "key": "severity",
    "kind": QuestionKind.RATING,
    "label": _("How bad would it be if somebody relied on it?"),
    "options": {
        "min": 1,
        "max": 5,
        "anchors": {"1": _("An annoyance"), "3": _("Costs money or time"), "5": _("Somebody comes to harm")},
    },
}

HARM_REPORT: Final = Shipped(
    slug="harm-report",
    title=_("Harm report"),
    intro=_("What could hurt somebody. Describe it; do not make it more effective than it already is."),
    asked_about={"on_answers": True, "on_cards": True},
    questions=(
        {
            "key": "harm",
            "kind": QuestionKind.CHOICES,
            "label": _("What kind of harm?"),
            "is_required": True,
            "options": _choices(
                violence=_("Violence, or help with it"),
                self_harm=_("Self-harm"),
                hate=_("Hate or harassment"),
                sexual=_("Unwanted sexual content"),
                minors=_("Endangers minors"),
                crime=_("Help with a crime"),
                weapons=_("Weapons or dangerous substances"),
                privacy=_("Somebody's private data"),
                advice=_("Dangerous medical, legal or financial advice"),
                other=_("Something else"),
            ),
        },
        _comment("other_harm", _("What else?"), is_required=True, show_if={"key": "harm", "equals": "other"}),
        _SEVERITY,
        {
            "key": "repeats",
            "kind": QuestionKind.CHOICE,
            "label": _("Does it happen again when you ask again?"),
            "options": _choices(
                always=_("Every time"), sometimes=_("Sometimes"), once=_("Only once"), untried=_("Not tried")
            ),
        },
        _comment("happened", _("What happened, and who could be hurt?"), is_required=True),
    ),
)  # fmt: skip

FACTUAL_ERROR: Final = Shipped(
    slug="factual-error",
    title=_("Factual error"),
    intro=_("Something that is not true, and how you know."),
    asked_about={"on_answers": True, "on_cards": True},
    questions=(
        _comment("claim", _("What does it say?"), is_required=True, help=_("Quote the claim in its own words.")),
        _comment("truth", _("What is true?"), is_required=True),
        _comment("source", _("How do you know?"), help=_("A link, a book with its page, or your trade.")),
        {
            "key": "certainty",
            "kind": QuestionKind.RATING,
            "label": _("How sure are you?"),
            "options": {"min": 1, "max": 5, "anchors": {"1": _("A suspicion"), "5": _("Certain")}},
        },
        _SEVERITY,
    ),
)

BIAS_REPORT: Final = Shipped(
    slug="bias-report",
    title=_("Bias report"),
    intro=_("Where somebody is treated, described or left out for who they are."),
    asked_about={"on_answers": True, "on_cards": True},
    questions=(
        {
            "key": "about",
            "kind": QuestionKind.CHOICES,
            "label": _("What is it about?"),
            "is_required": True,
            "options": _choices(
                gender=_("Gender"),
                origin=_("Origin or ethnicity"),
                religion=_("Religion or belief"),
                age=_("Age"),
                disability=_("Disability"),
                sexuality=_("Sexual orientation"),
                income=_("Income or class"),
                language=_("Language or dialect"),
                politics=_("Politics"),
                other=_("Something else"),
            ),
        },
        {
            "key": "form",
            "kind": QuestionKind.CHOICE,
            "label": _("Which form does it take?"),
            "options": _choices(
                stereotype=_("A stereotype"),
                worse=_("A worse answer for some"),
                erasure=_("Some do not appear at all"),
                slur=_("Demeaning words"),
            ),
        },
        {
            "key": "compared",
            "kind": QuestionKind.YES_NO,
            "label": _("Did you compare it with the same prompt about somebody else?"),
        },
        _comment(
            "difference", _("What was different?"), is_required=True, show_if={"key": "compared", "equals": "yes"}
        ),
        _SEVERITY,
        _comment("happened", _("What did you see?"), is_required=True),
    ),
)  # fmt: skip

COMPARISON: Final = Shipped(
    slug="comparison",
    title=_("Comparison"),
    intro=_("Beyond which one is better: in what."),
    asked_about={"on_comparisons": True},
    questions=(
        {
            "key": "better",
            "kind": QuestionKind.MATRIX,
            "label": _("Which one is better in…"),
            "options": {
                "rows": [
                    {"key": "correct", "label": _("Being right")},
                    {"key": "complete", "label": _("Completeness")},
                    {"key": "clear", "label": _("Clarity")},
                    {"key": "instructions", "label": _("Doing what was asked")},
                    {"key": "safe", "label": _("Safety")},
                ],
                "columns": [
                    {"key": "a", "label": _("A")},
                    {"key": "same", "label": _("Equal")},
                    {"key": "b", "label": _("B")},
                ],
                "whole": False,
            },
        },
        _comment("why", _("Why?")),
    ),
)

NEXT_OPEN_MODEL: Final = Shipped(
    slug="next-open-model",
    title=_("What should the next open model be?"),
    intro=_("It takes about four minutes. Leave out what you have no opinion on."),
    questions=(
        {
            "key": "uses",
            "kind": QuestionKind.CHOICES,
            "label": _("What do you use open models for?"),
            "is_required": True,
            "options": _choices(
                coding=_("Programming"),
                writing=_("Writing"),
                research=_("Research"),
                teaching=_("Teaching and learning"),
                products=_("Building products"),
                private=_("Working with data that must stay here"),
                play=_("Curiosity"),
                none=_("I do not use any yet"),
            ),
        },
        _comment("obstacle", _("What keeps you from it?"), show_if={"key": "uses", "equals": "none"}),
        {
            "key": "size",
            "kind": QuestionKind.CHOICE,
            "label": _("Which size would you run most?"),
            "help": _("Think of the machine that you have, not the one you wish for."),
            "options": _choices(
                tiny=_("Under 1 billion parameters: phones, browsers"),
                small=_("1 to 8 billion: a laptop"),
                medium=_("8 to 40 billion: one graphics card"),
                large=_("40 to 150 billion: one server"),
                huge=_("More: a cluster"),
            ),
        },
        {
            "key": "priorities",
            "kind": QuestionKind.RANKING,
            "label": _("What matters most to you?"),
            "help": _("1 is the most important; equal numbers are a tie."),
            "options": {
                **_choices(
                    reasoning=_("Reasoning"),
                    languages=_("More languages"),
                    speed=_("Speed on small machines"),
                    context=_("Long documents"),
                    tools=_("Using tools"),
                    openness=_("Open training data"),
                ),
                "ties": True,
            },
        },
        {
            "key": "today",
            "kind": QuestionKind.MATRIX,
            "label": _("How good are the open models that you know at this?"),
            "options": {
                "rows": [
                    {"key": "facts", "label": _("Facts")},
                    {"key": "my_language", "label": _("My language")},
                    {"key": "code", "label": _("Code")},
                    {"key": "refusals", "label": _("Refusing only what they should")},
                ],
                "columns": [
                    {"key": "bad", "label": _("Bad")},
                    {"key": "usable", "label": _("Usable")},
                    {"key": "good", "label": _("Good")},
                ],
                "whole": False,
            },
        },
        {
            "key": "would_switch",
            "kind": QuestionKind.RATING,
            "label": _("How likely is it that you replace a closed model with an open one this year?"),
            "options": {"min": 0, "max": 10, "anchors": {"0": _("Never"), "10": _("Done already")}},
        },
        {
            "key": "memory",
            "kind": QuestionKind.NUMBER,
            "label": _("How much memory can you give to a model?"),
            "options": {"min": 0, "max": 10_000, "decimals": 1, "unit": "GB"},
        },
        {
            "key": "licence_matters",
            "kind": QuestionKind.YES_NO,
            "label": _("Does the licence decide whether you may use a model?"),
        },
        _comment(
            "licence_which",
            _("Which terms stand in your way?"),
            show_if={"key": "licence_matters", "equals": "yes"},
        ),
        _comment("wish", _("If you could ask for one thing, what would it be?")),
    ),
)  # fmt: skip

QUESTIONNAIRES: Final = (
    Shipped(
        slug=answer_quality.SLUG,
        title=answer_quality.TITLE,
        questions=answer_quality.QUESTIONS,
        asked_about={"on_answers": True},
    ),
    # About no answer but those that were branched from another: its own page asks it.
    Shipped(
        slug=token_choice.SLUG,
        title=token_choice.TITLE,
        intro=token_choice.INTRO,
        questions=token_choice.QUESTIONS,
    ),
    HARM_REPORT,
    FACTUAL_ERROR,
    BIAS_REPORT,
    COMPARISON,
    NEXT_OPEN_MODEL,
)

NEXT_OPEN_MODEL_CAMPAIGN: Final[dict[str, Any]] = {
    "slug": "next-open-model",
    "title": _("What should the next open model be?"),
    "summary": _("Which size, which languages, which strengths: say what you would really use."),
    "appeal": _(
        "Open models are made by people who mostly hear from other people who make models. **You use them**, or you "
        "would if they fitted what you do.\n\n"
        "Tell what the next one should be good at, how large it may be, and what keeps you from using the ones there "
        "are. Everybody can read the results here while they come in."
    ),
    "thanks": _(
        "**What happens next.** Reviewers read every answer and say which they accept. The accepted ones are published "
        "as a data set that anybody can use, under the licence that you chose and without your name. On your "
        "contributions page you see where yours stands, and can take it back at any time."
    ),
    "goal": 200,
}
