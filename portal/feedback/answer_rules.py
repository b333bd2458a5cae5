"""What a valid set of answers to a questionnaire is; pure, so that every surface is refused in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portal.feedback.answer_values import NO_JUDGED_TEXT, JudgedText, Refused, checked_value
from portal.feedback.models import Question

MAX_REPORTED_KEYS: Final = 20
MAX_ECHOED_CHARACTERS: Final = 60


class AnswersInvalid(ValidationError):
    """Some answers cannot be stored: `message_dict` maps each question's key to sentences."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__({key: [message] for key, message in errors.items()})


def is_answered(value: Any) -> bool:
    """Nothing, an empty text, list or object say nothing, and so are no answer."""
    return value is not None and value not in ("", [], {})


def is_shown(question: Question, answers: Mapping[str, Any]) -> bool:
    """Whether a question is asked, given the other answers. Of several choices, one that is asked for is enough."""
    condition = question.show_if
    if not condition:
        return True
    given, wanted = answers.get(condition["key"]), condition["equals"]
    if isinstance(given, list):
        return wanted in given
    # 1 == True in Python, and they are different answers.
    return bool(given == wanted) and isinstance(given, bool) == isinstance(wanted, bool)


def shown_questions(questions: Iterable[Question], answers: Mapping[str, Any]) -> list[Question]:
    """The questions that are asked. What depends on one that is not asked is not asked either."""
    asked: list[Question] = []
    visible: dict[str, Any] = {}
    for question in questions:
        if is_shown(question, visible):
            asked.append(question)
            visible[question.key] = answers.get(question.key)
    return asked


@dataclass(frozen=True, slots=True)
class _Given:
    """One answer, what it refers to, and what it may lack."""

    value: Any
    judged: JudgedText
    is_complete: bool
    is_half_done: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one answer."""

    value: Any = None
    error: str = ""


def validate_answers(
    questions: Iterable[Question],
    answers: Mapping[str, Any],
    judged: JudgedText = NO_JUDGED_TEXT,
    *,
    is_complete: bool = True,
    is_half_done: bool = False,
) -> list[tuple[Question, Any]]:
    """The answered questions in order, each with its value in canonical form.

    `judged` is the text that marks, corrections and better tokens refer to. Without `is_complete`, required questions
    may be missing, as in a draft; with `is_half_done` a ranking or a matrix may lack some of what it has to name.
    Raises AnswersInvalid for an unknown key, a value of the wrong kind or out of range, an answer to a question whose
    condition does not hold, and a required question left out.
    """
    questions = list(questions)
    errors = _unknown_keys({question.key for question in questions}, answers)
    accepted: list[tuple[Question, Any]] = []
    canonical: dict[str, Any] = {}
    for question in questions:
        given = _Given(answers.get(question.key), judged, is_complete=is_complete, is_half_done=is_half_done)
        outcome = _checked(question, given, canonical)
        canonical[question.key] = outcome.value
        if outcome.error:
            errors[question.key] = outcome.error
        elif is_answered(outcome.value):
            accepted.append((question, outcome.value))
    if errors:
        raise AnswersInvalid(errors)
    return accepted


def _unknown_keys(known: set[str], answers: Mapping[str, Any]) -> dict[str, str]:
    unknown = [str(key) for key in answers if key not in known]
    message = _("There is no such question. There are: %(keys)s.") % {"keys": ", ".join(sorted(known))}
    return {key[:MAX_ECHOED_CHARACTERS]: message for key in unknown[:MAX_REPORTED_KEYS]}


def _checked(question: Question, given: _Given, before: Mapping[str, Any]) -> _Outcome:
    """`before` has the answers to the questions above; a condition looks at nothing else."""
    value = given.value
    if value is not None:
        try:
            value = checked_value(question, value, given.judged, is_half_done=given.is_half_done)
        except Refused as error:
            return _Outcome(error=str(error))
    is_asked = is_shown(question, before)
    if is_answered(value) and not is_asked:
        return _Outcome(error=_("This is asked only when %(key)s is “%(equals)s”.") % question.show_if)
    if not is_answered(value) and is_asked and question.is_required and given.is_complete:
        return _Outcome(error=_("This question needs an answer."))
    return _Outcome(value)
