"""What a valid set of answers to a questionnaire is; pure, so that every surface is refused in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portal.feedback.models import Question, QuestionKind

MAX_REPORTED_KEYS: Final = 20
MAX_ECHOED_CHARACTERS: Final = 60


class AnswersInvalid(ValidationError):
    """Some answers cannot be stored: `message_dict` maps each question's key to sentences."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__({key: [message] for key, message in errors.items()})


class _Refused(Exception):
    """One answer cannot be stored, and why."""


def is_answered(value: Any) -> bool:
    """Nothing, an empty text and an empty list say nothing, and so are no answer."""
    return value is not None and value not in ("", [])


def is_shown(question: Question, answers: Mapping[str, Any]) -> bool:
    """Whether a question is asked, given the other answers."""
    condition = question.show_if
    return not condition or answers.get(condition["key"]) == condition["equals"]


def validate_answers(questions: Iterable[Question], answers: Mapping[str, Any]) -> list[tuple[Question, Any]]:
    """The answered questions in order, each with its value in canonical form.

    Raises AnswersInvalid for an unknown key, a value of the wrong kind or out of range, an answer to a question whose
    condition does not hold, and a required question left out.
    """
    questions = list(questions)
    errors = _unknown_keys({question.key for question in questions}, answers)
    accepted: list[tuple[Question, Any]] = []
    for question in questions:
        try:
            value = _checked(question, answers)
        except _Refused as error:
            errors[question.key] = str(error)
        else:
            if is_answered(value):
                accepted.append((question, value))
    if errors:
        raise AnswersInvalid(errors)
    return accepted


def _unknown_keys(known: set[str], answers: Mapping[str, Any]) -> dict[str, str]:
    unknown = [str(key) for key in answers if key not in known]
    message = _("There is no such question. There are: %(keys)s.") % {"keys": ", ".join(sorted(known))}
    return {key[:MAX_ECHOED_CHARACTERS]: message for key in unknown[:MAX_REPORTED_KEYS]}


def _checked(question: Question, answers: Mapping[str, Any]) -> Any:
    value = answers.get(question.key)
    if value is not None:
        value = _CHECKS[QuestionKind(question.kind)](question.options, value)
    is_asked = is_shown(question, answers)
    if is_answered(value) and not is_asked:
        raise _Refused(_("This is asked only when %(key)s is “%(equals)s”.") % question.show_if)
    if not is_answered(value) and is_asked and question.is_required:
        raise _Refused(_("This question needs an answer."))
    return value


def _check_one_choice(options: Mapping[str, Any], value: Any) -> str:
    keys = _choice_keys(options)
    if not isinstance(value, str) or value not in keys:
        raise _Refused(_("Must be one of: %(keys)s.") % {"keys": ", ".join(keys)})
    return value


def _check_rating(options: Mapping[str, Any], value: Any) -> int:
    low, high = options["min"], options["max"]
    # bool is an int in Python and never meant here.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _Refused(_("Must be a whole number from %(low)d to %(high)d.") % {"low": low, "high": high})
    return value


def _check_choices(options: Mapping[str, Any], value: Any) -> list[str]:
    keys = _choice_keys(options)
    if not isinstance(value, list) or not all(isinstance(each, str) and each in keys for each in value):
        raise _Refused(_("Must be a list of: %(keys)s.") % {"keys": ", ".join(keys)})
    if len(set(value)) != len(value):
        raise _Refused(_("Must name each choice at most once."))
    return [key for key in keys if key in value]


def _check_text(options: Mapping[str, Any], value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused(_("Must be text."))
    # Forms send CRLF, and browsers count it as one character against maxlength.
    text = value.replace("\r\n", "\n").strip()
    limit = options["max_characters"]
    if len(text) > limit:
        raise _Refused(
            _("Must have at most %(limit)d characters; this has %(length)d.") % {"limit": limit, "length": len(text)}
        )
    # PostgreSQL stores no NUL, and no UTF-8 encoder takes half a surrogate pair.
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _Refused(_("Must not contain NUL characters or unpaired surrogates."))
    return text


def _choice_keys(options: Mapping[str, Any]) -> list[str]:
    return [choice["key"] for choice in options["choices"]]


_CHECKS: Final[dict[QuestionKind, Callable[[Mapping[str, Any], Any], Any]]] = {
    QuestionKind.THUMB: _check_one_choice,
    QuestionKind.RATING: _check_rating,
    QuestionKind.CHOICES: _check_choices,
    QuestionKind.TEXT: _check_text,
}
