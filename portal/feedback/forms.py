"""Between the panel's form fields and a questionnaire's answers, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext

from portal.feedback.answer_rules import is_shown
from portal.feedback.models import Question, QuestionKind, Submission

MAX_VERSION_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose. `value` is what the form sends."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class PanelQuestion:
    """A question as the panel shows it, with what was answered and what is wrong with that."""

    key: str
    kind: str
    label: str
    is_required: bool
    options: tuple[Option, ...] = ()
    text: str = ""
    max_characters: int = 0
    shown_if: str = ""
    errors: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer in words: a text as it was typed, anything else as the labels that were chosen."""

    kind: str
    label: str
    chosen: tuple[str, ...] = ()
    text: str = ""
    tone: str = ""


def shown_answers(submission: Submission) -> list[ShownAnswer]:
    """A submission's answers in words, for the person who gave them."""
    return [_shown_answer(answer.question, answer.value) for answer in submission.answers.all()]


def panel_questions(
    questions: Iterable[Question], answers: Mapping[str, Any], errors: Mapping[str, list[str]] | None = None
) -> list[PanelQuestion]:
    """The questionnaire filled in with `answers`, which may be invalid: what was typed is shown again as it was."""
    return [_panel_question(each, answers.get(each.key), tuple((errors or {}).get(each.key, ()))) for each in questions]


def answers_from_form(questions: Iterable[Question], data: QueryDict) -> dict[str, Any]:
    """The form's fields as answers, not yet validated.

    The form holds the fields of every condition and shows those whose condition holds; what the person cannot see
    when they send it is not part of their answer.
    """
    questions = list(questions)
    answers = {question.key: _value_from_form(question, data) for question in questions}
    return {question.key: answers[question.key] for question in questions if is_shown(question, answers)}


def version_from_form(data: QueryDict) -> int | None:
    """The version that the form was made from; None when the form does not say."""
    text = data.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS else None


def _value_from_form(question: Question, data: QueryDict) -> Any:
    if question.kind == QuestionKind.CHOICES:
        return data.getlist(question.key)
    text = data.get(question.key, "")
    if not text:
        return None
    if question.kind == QuestionKind.RATING and text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS:
        return int(text)
    return text


def _panel_question(question: Question, value: Any, errors: tuple[str, ...]) -> PanelQuestion:
    return PanelQuestion(
        key=question.key,
        kind=question.kind,
        # The label's text is in the database; the shipped ones are marked for translation where they are defined.
        label=gettext(question.label),
        is_required=question.is_required,
        options=tuple(_options(question, value)),
        text=value if question.kind == QuestionKind.TEXT and isinstance(value, str) else "",
        max_characters=question.options.get("max_characters", 0),
        shown_if="{key}={equals}".format(**question.show_if) if question.show_if else "",
        errors=errors,
    )


def _options(question: Question, value: Any) -> Iterable[Option]:
    if question.kind == QuestionKind.RATING:
        anchors = question.options.get("anchors", {})
        for number in range(question.options["min"], question.options["max"] + 1):
            anchor = anchors.get(str(number))
            yield Option(str(number), gettext(anchor) if anchor else "", value == number)
        return
    chosen = value if isinstance(value, list) else [value]
    for choice in question.options.get("choices", ()):
        yield Option(choice["key"], gettext(choice["label"]), choice["key"] in chosen)


def _shown_answer(question: Question, value: Any) -> ShownAnswer:
    label = gettext(question.label)
    if question.kind == QuestionKind.TEXT:
        return ShownAnswer(question.kind, label, text=value)
    chosen = [option for option in _options(question, value) if option.is_chosen]
    if question.kind == QuestionKind.RATING:
        texts = [f"{option.value} / {question.options['max']}" for option in chosen]
    else:
        texts = [option.label for option in chosen]
    tone = {"up": "good", "down": "bad"}.get(value, "") if question.kind == QuestionKind.THUMB else ""
    return ShownAnswer(question.kind, label, chosen=tuple(texts), tone=tone)
