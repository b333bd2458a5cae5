"""A question as a body has it, put into the fields of the form that the editor's page checks it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms import BaseForm
from django.utils.translation import gettext as _

from portal.api.problems import FieldError, Problem, pointer
from portal.feedback.editor_forms import QuestionForm, question_initial
from portal.feedback.models import Question, QuestionKind
from portal.feedback.question_options import FIELDS_OF_KIND, fields_of
from portal.feedback.questionnaire_services import QuestionValues

_OPTIONS: Final = (
    "choices", "rows", "columns", "anchors", "decimals", "unit", "max_characters", "most", "ties", "whole",
)  # fmt: skip
# The editor's field → where it is in a body.
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "low": ("options", "min"),
    "high": ("options", "max"),
    "first_day": ("options", "min"),
    "last_day": ("options", "max"),
    "condition": ("show_if",),
    **{name: ("options", name) for name in _OPTIONS},
}


def question_values(
    kind: QuestionKind, given: Mapping[str, Any], before: list[Question], question: Question | None = None
) -> QuestionValues:
    """What the form makes of `given`, over what `question` says already; `before` are the questions above it.

    Raises Problem with pointers into the body.
    """
    data: dict[str, Any] = question_initial(question) if question is not None else fields_of(Question(kind=kind))
    data |= {name: given[name] for name in ("key", "label", "help", "is_required") if name in given}
    if "options" in given:
        _require_options(kind, given["options"])
        data |= fields_of(Question(kind=kind, options=given["options"]))
    if "show_if" in given:
        condition = given["show_if"]
        data["condition"] = "" if condition is None else f"{condition['key']}={condition['equals']}"
    data["revision"] = 1
    form = QuestionForm(data, kind=kind, before=before, question=question)
    if not form.is_valid():
        refuse_form(form)
    return form.values()


def refuse_form(form: BaseForm) -> NoReturn:
    """Raises Problem: what is wrong with a form, as pointers into the body that it was filled from."""
    raise refused(ValidationError({name: list(errors) for name, errors in form.errors.as_data().items()}))


def refused(error: ValidationError) -> Problem:
    """What an editor's service or form refuses, by its fields."""
    if not hasattr(error, "error_dict"):
        return Problem("invalid-request", " ".join(error.messages))
    errors = tuple(
        FieldError(" ".join(messages), pointer=_place(name)) for name, messages in error.message_dict.items()
    )
    return Problem("invalid-request", _("The body is not valid."), errors)


def _place(field: str) -> str:
    return "" if field == NON_FIELD_ERRORS else pointer(*_PLACES.get(field, (field,)))


def _require_options(kind: QuestionKind, options: Mapping[str, Any]) -> None:
    """Raises Problem for what is none of the kind's options, or of another type; the form checks their values."""
    known = {_PLACES[field][1] for field in FIELDS_OF_KIND[kind]}
    for name, value in options.items():
        if name not in known:
            there_are = ", ".join(sorted(known)) or _("none")
            _refuse(name, _("There is no such option of this kind. There are: %s.") % there_are)
        if not _IS_OF_TYPE[name](value) or (name in {"min", "max"} and isinstance(value, str) != (kind == "date")):
            _refuse(name, _("Is of the wrong type."))


def _refuse(option: str, detail: str) -> NoReturn:
    raise Problem(
        "invalid-request", _("The body is not valid."), (FieldError(detail, pointer=pointer("options", option)),)
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bound(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and len(value.splitlines()) <= 1


def _is_list(value: Any) -> bool:
    """What the form's lines, `key | label`, can say."""
    return isinstance(value, list) and all(
        isinstance(each, dict) and each.keys() == {"key", "label"} and all(map(_is_line, each.values()))
        and each["key"].strip() and "|" not in each["key"]
        for each in value
    )  # fmt: skip


def _is_anchors(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_line(label) and _is_line(number) for number, label in value.items())


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


_IS_OF_TYPE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "choices": _is_list,
    "rows": _is_list,
    "columns": _is_list,
    "anchors": _is_anchors,
    "min": _is_bound,
    "max": _is_bound,
    "decimals": _is_whole,
    "max_characters": _is_whole,
    "most": _is_whole,
    "unit": _is_line,
    "ties": _is_bool,
    "whole": _is_bool,
}
