"""What a question of each kind is made with, and whether a set of questions makes sense; pure.

Options come out of the editor's fields and are kept as the question's `options`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from portal.feedback.answer_values import (
    KINDS_ON_TEXT,
    LARGEST_NUMBER,
    MAX_CORRECTION_CHARACTERS,
    MAX_DECIMALS,
    NO,
    YES,
)
from portal.feedback.models import Question, QuestionKind

MAX_QUESTIONS: Final = 100
MAX_CHOICES: Final = 50
MAX_LABEL_CHARACTERS: Final = 200
MAX_KEY_CHARACTERS: Final = 60
MAX_TEXT_CHARACTERS: Final = 32_000
LONGEST_SCALE: Final = 11
# Kinds whose answer another question's condition may look at.
CONDITION_KINDS: Final = frozenset(
    {QuestionKind.THUMB, QuestionKind.YES_NO, QuestionKind.RATING, QuestionKind.CHOICE, QuestionKind.CHOICES}
)
# Which of the editor's fields each kind uses.
FIELDS_OF_KIND: Final[dict[QuestionKind, tuple[str, ...]]] = {
    QuestionKind.THUMB: ("choices",),
    QuestionKind.YES_NO: (),
    QuestionKind.RATING: ("low", "high", "anchors"),
    QuestionKind.CHOICE: ("choices",),
    QuestionKind.CHOICES: ("choices", "most"),
    QuestionKind.RANKING: ("choices", "ties"),
    QuestionKind.TEXT: ("max_characters",),
    QuestionKind.NUMBER: ("low", "high", "decimals", "unit"),
    QuestionKind.DATE: ("first_day", "last_day"),
    QuestionKind.SPANS: ("choices",),
    QuestionKind.CORRECTION: ("max_characters",),
    QuestionKind.TOKEN: (),
    QuestionKind.MATRIX: ("rows", "columns", "whole"),
}


def options_of(kind: QuestionKind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a question of `kind`. Raises ValidationError, by the editor's fields, for what is too much."""
    errors: dict[str, str] = {}
    options: dict[str, Any] = {}
    for part in _PARTS_OF_KIND.get(kind, ()):
        try:
            options |= part(fields)
        except ValidationError as error:
            errors |= {field: " ".join(messages) for field, messages in error.message_dict.items()}
    if errors:
        raise ValidationError(errors)
    return options


def fields_of(question: Question) -> dict[str, Any]:
    """The editor's fields filled in from a question's options: what `options_of` makes the same options of."""
    options = question.options
    is_date = question.kind == QuestionKind.DATE
    return {
        "choices": _lines(options.get("choices", ())),
        "rows": _lines(options.get("rows", ())),
        "columns": _lines(options.get("columns", ())),
        "anchors": "\n".join(f"{number} | {label}" for number, label in options.get("anchors", {}).items()),
        "low": None if is_date else options.get("min"),
        "high": None if is_date else options.get("max"),
        "first_day": options.get("min") if is_date else None,
        "last_day": options.get("max") if is_date else None,
        "decimals": options.get("decimals", 0),
        "unit": options.get("unit", ""),
        "max_characters": options.get("max_characters"),
        "most": options.get("most"),
        "ties": options.get("ties", True),
        "whole": options.get("whole", False),
    }


def _lines(choices: Iterable[Mapping[str, str]]) -> str:
    return "\n".join(f"{choice['key']} | {choice['label']}" for choice in choices)


# --- The parts


def _listed(field: str, text: str, least: int, most: int = MAX_CHOICES) -> list[dict[str, str]]:
    """One a line: a label, or `key | label` where the key is to stay what it was."""
    found: list[dict[str, str]] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        before, bar, after = line.partition("|")
        label = (after if bar else before).strip()
        key = (before.strip() if bar else slugify(label)[:MAX_KEY_CHARACTERS]) or f"choice-{len(found) + 1}"
        if not label:
            raise ValidationError({field: _("“%s” has no label.") % line[:80]})
        if len(label) > MAX_LABEL_CHARACTERS:
            limits = {"limit": MAX_LABEL_CHARACTERS, "length": len(label)}
            raise ValidationError({field: _("A label has at most %(limit)d characters; one has %(length)d.") % limits})
        if slugify(key.replace("_", "-")) != key.replace("_", "-") or len(key) > MAX_KEY_CHARACTERS:
            message = _("“%(key)s” is no key: at most %(limit)d small letters, digits, - and _.")
            raise ValidationError({field: message % {"key": key[:80], "limit": MAX_KEY_CHARACTERS}})
        found.append({"key": key, "label": label})
    if not least <= len(found) <= most:
        limits = {"least": least, "most": most, "count": len(found)}
        raise ValidationError({field: _("Needs %(least)d to %(most)d lines; these are %(count)d.") % limits})
    keys = [choice["key"] for choice in found]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValidationError({field: _("Each key may stand there once; twice there is: %s.") % ", ".join(twice)})
    return found


def _choices(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"choices": _listed("choices", fields.get("choices") or "", 2)}


def _labels(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"choices": _listed("choices", fields.get("choices") or "", 1)}


def _thumbs(fields: Mapping[str, Any]) -> dict[str, Any]:
    text = fields.get("choices") or f"up | {_('Good')}\ndown | {_('Bad')}"
    choices = _listed("choices", text, 2, 2)
    if [choice["key"] for choice in choices] != ["up", "down"]:
        raise ValidationError({"choices": _("A thumb has the keys up and down, in this order.")})
    return {"choices": choices}


def _most(fields: Mapping[str, Any]) -> dict[str, Any]:
    most = fields.get("most")
    if most is None:
        return {}
    if not 1 <= most <= MAX_CHOICES:
        raise ValidationError({"most": _("Must be from 1 to %d.") % MAX_CHOICES})
    return {"most": most}


def _ties(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"ties": bool(fields.get("ties"))}


def _scale(fields: Mapping[str, Any]) -> dict[str, Any]:
    low, high = fields.get("low"), fields.get("high")
    low, high = 1 if low is None else low, 5 if high is None else high
    if low != int(low) or high != int(high) or not -100 <= low < high <= 100 or high - low >= LONGEST_SCALE:
        message = _("A scale goes from a lower to a higher whole number between -100 and 100, with at most %d steps.")
        raise ValidationError({"high": message % LONGEST_SCALE})
    return {"min": int(low), "max": int(high), "anchors": _anchors(fields.get("anchors") or "", int(low), int(high))}


def _anchors(text: str, low: int, high: int) -> dict[str, str]:
    anchors: dict[int, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        number, _bar, label = (part.strip() for part in line.partition("|"))
        if not label or not number.lstrip("-").isascii() or not number.lstrip("-").isdigit():
            raise ValidationError({"anchors": _("One a line, as in “1 | Useless”; “%s” is not.") % line[:80]})
        if not low <= int(number[:5]) <= high or len(label) > MAX_LABEL_CHARACTERS:
            message = _("Anchors are for numbers from %(low)d to %(high)d, with at most %(limit)d characters.")
            limits = {"low": low, "high": high, "limit": MAX_LABEL_CHARACTERS}
            raise ValidationError({"anchors": message % limits})
        anchors[int(number)] = label
    return {str(number): anchors[number] for number in sorted(anchors)}


def _text_length(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"max_characters": _characters(fields, 4_000, MAX_TEXT_CHARACTERS)}


def _correction_length(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"max_characters": _characters(fields, MAX_CORRECTION_CHARACTERS, MAX_CORRECTION_CHARACTERS)}


def _characters(fields: Mapping[str, Any], usual: int, limit: int) -> int:
    given = fields.get("max_characters")
    most: int = usual if given is None else given
    if not 1 <= most <= limit:
        raise ValidationError({"max_characters": _("Must be from 1 to %d.") % limit})
    return most


def _amount(fields: Mapping[str, Any]) -> dict[str, Any]:
    decimals = fields.get("decimals") or 0
    if not 0 <= decimals <= MAX_DECIMALS:
        raise ValidationError({"decimals": _("Must be from 0 to %d.") % MAX_DECIMALS})
    bounds = {"min": fields.get("low"), "max": fields.get("high")}
    options = {name: _plain_number(bound) for name, bound in bounds.items() if bound is not None}
    if any(abs(bound) > LARGEST_NUMBER for bound in options.values()):
        raise ValidationError({"high": _("Numbers go to %d.") % LARGEST_NUMBER})
    if options.get("min", -LARGEST_NUMBER) >= options.get("max", LARGEST_NUMBER):
        raise ValidationError({"high": _("Must be larger than the smallest number.")})
    unit = (fields.get("unit") or "").strip()
    return options | {"decimals": decimals} | ({"unit": unit} if unit else {})


def _plain_number(number: Any) -> int | float:
    return int(number) if number == int(number) else float(number)


def _days(fields: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {"min": fields.get("first_day"), "max": fields.get("last_day")}
    options = {name: day.isoformat() if isinstance(day, date) else day for name, day in bounds.items() if day}
    if len(options) == 2 and options["min"] > options["max"]:
        raise ValidationError({"last_day": _("Must not be before the first day.")})
    return options


def _matrix(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rows": _listed("rows", fields.get("rows") or "", 1),
        "columns": _listed("columns", fields.get("columns") or "", 2, LONGEST_SCALE),
        "whole": bool(fields.get("whole")),
    }


_PARTS_OF_KIND: Final = {
    QuestionKind.THUMB: (_thumbs,),
    QuestionKind.RATING: (_scale,),
    QuestionKind.CHOICE: (_choices,),
    QuestionKind.CHOICES: (_choices, _most),
    QuestionKind.RANKING: (_choices, _ties),
    QuestionKind.TEXT: (_text_length,),
    QuestionKind.NUMBER: (_amount,),
    QuestionKind.DATE: (_days,),
    QuestionKind.SPANS: (_labels,),
    QuestionKind.CORRECTION: (_correction_length,),
    QuestionKind.MATRIX: (_matrix,),
}


# --- Conditions


@dataclass(frozen=True, slots=True)
class Condition:
    """Something to choose in the editor: ask this when `label`. `value` is what the form sends."""

    value: str
    label: str
    show_if: dict[str, Any]


def possible_conditions(before: Iterable[Question]) -> list[Condition]:
    """Everything that a question below these may depend on."""
    return [
        Condition(f"{question.key}={equals}", f"{question.label}: {label}", {"key": question.key, "equals": equals})
        for question in before
        if question.kind in CONDITION_KINDS
        for equals, label in _answers_of(question)
    ]


def _answers_of(question: Question) -> list[tuple[Any, str]]:
    if question.kind == QuestionKind.YES_NO:
        return [(YES, _("Yes")), (NO, _("No"))]
    if question.kind == QuestionKind.RATING:
        return [(number, str(number)) for number in range(question.options["min"], question.options["max"] + 1)]
    return [(choice["key"], choice["label"]) for choice in question.options["choices"]]


def broken_condition(questions: Iterable[Question]) -> str:
    """Why these questions in this order cannot be asked; empty when they can.

    A condition looks up only. So there is no cycle, and nothing that was answered disappears while one reads on.
    """
    before: list[Question] = []
    for question in questions:
        wanted = question.show_if
        if wanted and not any(each.show_if == wanted for each in possible_conditions(before)):
            names = {"question": question.label, "key": wanted.get("key", "")}
            return (
                _("“%(question)s” depends on an answer to “%(key)s”: it has to be asked above, and have that answer.")
                % names
            )
        before.append(question)
    return ""


def asks_about_text(questions: Iterable[Question]) -> bool:
    """Whether one of them can be answered only before an answer of a model."""
    return any(question.kind in KINDS_ON_TEXT for question in questions)
