"""Questions as a form shows them, filled in, and answers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portal.catalog.markdown import render_markdown
from portal.feedback.answer_values import MAX_CORRECTION_CHARACTERS, NO, YES, parsed_day
from portal.feedback.models import Question, QuestionKind, Submission
from portal.feedback.typed_ranking import places_of
from portal.feedback.wording import wording

_FROM_LISTS: Final = frozenset({QuestionKind.THUMB, QuestionKind.CHOICE, QuestionKind.CHOICES, QuestionKind.RANKING})


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose. `value` is what the form sends; `rank` its place in a ranking as typed, empty for none."""

    value: str
    label: str
    is_chosen: bool = False
    rank: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a matrix, with the columns to choose from."""

    key: str
    label: str
    columns: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class FormQuestion:
    """A question as a form shows it, with what was answered and what is wrong with that."""

    key: str
    kind: str
    label: str
    is_required: bool
    help: SafeString | str = ""
    options: tuple[Option, ...] = ()
    rows: tuple[Row, ...] = ()
    text: str = ""
    # The marks, or the choices of better tokens, as they are stored.
    items: tuple[Mapping[str, Any], ...] = ()
    max_characters: int = 0
    low: Any = None
    high: Any = None
    step: str = "1"
    unit: str = ""
    shown_if: str = ""
    condition: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer in words: a text as it was typed, anything else as labels, one for each thing said."""

    kind: str
    label: str
    key: str = ""
    chosen: tuple[str, ...] = ()
    text: str = ""
    tone: str = ""


def form_questions(
    questions: Iterable[Question],
    answers: Mapping[str, Any],
    errors: Mapping[str, list[str]] | None = None,
    language: str = "",
) -> list[FormQuestion]:
    """The questions filled in with `answers`, which may be invalid: what was typed is shown again as it was."""
    questions = list(questions)
    labels = {question.key: question for question in questions}
    return [
        _form_question(each, answers.get(each.key), tuple((errors or {}).get(each.key, ())), labels, language)
        for each in questions
    ]


def shown_answers(submission: Submission) -> list[ShownAnswer]:
    """A submission's answers in words."""
    return [shown_answer(answer.question, answer.value) for answer in submission.answers.all()]


def marks_in(submission: Submission, text: str) -> list[tuple[int, int]]:
    """Where passages of this very text were marked, as start and end in its characters."""
    return [
        (mark["start"], mark["end"])
        for answer in submission.answers.all()
        if answer.question.kind == QuestionKind.SPANS
        for mark in answer.value
        if text[mark["start"] : mark["end"]] == mark["quote"]
    ]


def shown_answer(question: Question, value: Any, language: str = "") -> ShownAnswer:
    label = wording(question, "label", question.label, language)
    if question.kind in {QuestionKind.TEXT, QuestionKind.CORRECTION}:
        return ShownAnswer(question.kind, label, question.key, text=value)
    tone = {"up": "good", "down": "bad"}.get(value, "") if question.kind == QuestionKind.THUMB else ""
    chosen = tuple(_words(question, value, language))
    return ShownAnswer(question.kind, label, question.key, chosen=chosen, tone=tone)


def _words(question: Question, value: Any, language: str) -> Iterable[str]:
    match question.kind:
        case QuestionKind.RATING:
            yield f"{value} / {question.options['max']}"
        case QuestionKind.NUMBER:
            unit = wording(question, "unit", question.options.get("unit", ""), language)
            yield f"{number_format(value)} {unit}".strip()
        case QuestionKind.DATE:
            yield date_format(parsed_day(value) or value, "DATE_FORMAT")
        case QuestionKind.RANKING | QuestionKind.MATRIX | QuestionKind.SPANS | QuestionKind.TOKEN:
            yield from _words_of_many(question, value, language)
        case _:
            yield from (option.label for option in _options(question, value, language) if option.is_chosen)


def _words_of_many(question: Question, value: Any, language: str) -> Iterable[str]:
    match question.kind:
        case QuestionKind.RANKING:
            labels = _labels(question, "choices", language)
            for place, group in enumerate(value, start=1):
                yield f"{place}. " + " = ".join(labels[key] for key in group)
        case QuestionKind.MATRIX:
            rows, columns = _labels(question, "rows", language), _labels(question, "columns", language)
            for row, column in value.items():
                yield f"{rows[row]}: {columns[column]}"
        case QuestionKind.SPANS:
            labels = _labels(question, "choices", language)
            for mark in value:
                yield f"“{mark['quote']}”: {labels[mark['label']]}" + (f" ({mark['note']})" if mark["note"] else "")
        case _:
            for choice in value:
                yield _("“%(better)s” rather than “%(text)s”") % {
                    "better": choice["alternative_text"],
                    "text": choice["text"],
                }


def _form_question(
    question: Question, value: Any, errors: tuple[str, ...], others: Mapping[str, Question], language: str
) -> FormQuestion:
    options, kind = question.options, question.kind
    is_list = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return FormQuestion(
        key=question.key,
        kind=kind,
        label=wording(question, "label", question.label, language),
        is_required=question.is_required,
        help=render_markdown(wording(question, "help", question.help, language)) if question.help else "",
        options=tuple(_options(question, value, language)),
        rows=tuple(_rows(question, value, language)) if kind == QuestionKind.MATRIX else (),
        text=str(value) if isinstance(value, str | int | float) and kind not in _FROM_LISTS else "",
        items=tuple(value) if kind in {QuestionKind.SPANS, QuestionKind.TOKEN} and is_list else (),
        max_characters=options.get(
            "max_characters", MAX_CORRECTION_CHARACTERS if kind == QuestionKind.CORRECTION else 0
        ),
        low=options.get("min"),
        high=options.get("max"),
        step=_step(options.get("decimals", 0)),
        unit=wording(question, "unit", options.get("unit", ""), language),
        shown_if="{key}={equals}".format(**question.show_if) if question.show_if else "",
        condition=_condition(question, others, language),
        errors=errors,
    )


def _step(decimals: int) -> str:
    return f"0.{'0' * (decimals - 1)}1" if decimals else "1"


def _condition(question: Question, others: Mapping[str, Question], language: str) -> str:
    """What has to be answered above for this to be asked, in words; where scripts run it is hidden until then."""
    condition = question.show_if
    if not condition or condition["key"] not in others:
        return ""
    other = others[condition["key"]]
    wanted = condition["equals"]
    value = [wanted] if other.kind == QuestionKind.CHOICES else wanted
    words = ", ".join(_words(other, value, language))
    label = wording(other, "label", other.label, language)
    return _("Only if you answered “%(answer)s” to “%(question)s”.") % {"answer": words, "question": label}


def _labels(question: Question, name: str, language: str) -> dict[str, str]:
    return {
        choice["key"]: wording(question, f"{name}.{choice['key']}", choice["label"], language)
        for choice in question.options.get(name, ())
    }


def _options(question: Question, value: Any, language: str) -> Iterable[Option]:
    options = question.options
    if question.kind == QuestionKind.RATING:
        anchors = options.get("anchors", {})
        for number in range(options["min"], options["max"] + 1):
            anchor = anchors.get(str(number), "")
            yield Option(str(number), wording(question, f"anchors.{number}", anchor, language), value == number)
    elif question.kind == QuestionKind.YES_NO:
        yield Option(YES, _("Yes"), value == YES)
        yield Option(NO, _("No"), value == NO)
    elif question.kind == QuestionKind.RANKING:
        places = places_of(value)
        for key, label in _labels(question, "choices", language).items():
            yield Option(key, label, rank=places.get(key, ""))
    else:
        chosen = value if isinstance(value, list) else [value]
        for key, label in _labels(question, "choices", language).items():
            yield Option(key, label, key in chosen)


def _rows(question: Question, value: Any, language: str) -> Iterable[Row]:
    chosen = value if isinstance(value, dict) else {}
    columns = _labels(question, "columns", language)
    for key, label in _labels(question, "rows", language).items():
        yield Row(key, label, tuple(Option(each, text, chosen.get(key) == each) for each, text in columns.items()))
