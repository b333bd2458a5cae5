"""From a form's fields to a questionnaire's answers. What comes out is not yet validated.

A question's fields are named by its key; those of its parts by key and part with a point between, which no key has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, Final

from django.http import QueryDict

from portal.feedback.answer_rules import shown_questions
from portal.feedback.answer_values import choice_keys
from portal.feedback.models import Question, QuestionKind
from portal.feedback.typed_ranking import TypedRanking

MAX_VERSION_DIGITS: Final = 9
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,9}", re.ASCII)


def answers_from_form(questions: Iterable[Question], data: QueryDict) -> dict[str, Any]:
    """The form's fields as answers.

    The form holds the fields of every condition and shows those whose condition holds; what the person cannot see
    when they send it is not part of their answer.
    """
    questions = list(questions)
    answers = {question.key: _value_from_form(question, data) for question in questions}
    return {question.key: answers[question.key] for question in shown_questions(questions, answers)}


def version_from_form(data: QueryDict) -> int | None:
    """The version that the form was made from; None when the form does not say."""
    text = data.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_VERSION_DIGITS else None


def _value_from_form(question: Question, data: QueryDict) -> Any:
    reader = _READERS.get(QuestionKind(question.kind))
    if reader is not None:
        return reader(question, data)
    return data.get(question.key) or None


def _chosen(question: Question, data: QueryDict) -> list[Any]:
    return list(data.getlist(question.key))


def _whole(question: Question, data: QueryDict) -> Any:
    text = data.get(question.key, "")
    return int(text) if _WHOLE.fullmatch(text) else text or None


def _number(question: Question, data: QueryDict) -> Any:
    text = data.get(question.key, "").strip()
    if not _NUMBER.fullmatch(text):
        return text or None
    number = float(text.replace(",", "."))
    return int(number) if number.is_integer() else number


def _ranking(question: Question, data: QueryDict) -> TypedRanking:
    return TypedRanking({key: data.get(f"{question.key}.{key}", "") for key in choice_keys(question.options)})


def _matrix(question: Question, data: QueryDict) -> dict[str, Any]:
    rows = {row: data.get(f"{question.key}.{row}") for row in choice_keys(question.options, "rows")}
    return {row: column for row, column in rows.items() if column}


def _tokens(question: Question, data: QueryDict) -> list[dict[str, Any]]:
    chosen = zip_longest(data.getlist(f"{question.key}.index"), data.getlist(f"{question.key}.alternative"))
    return [{"index": _whole_or_text(index), "alternative": _whole_or_text(other)} for index, other in chosen if other]


def _marks(question: Question, data: QueryDict) -> list[dict[str, Any]]:
    """The marks that the form repeats, but those to take away, and the one that is being made, if any."""
    columns = [data.getlist(f"{question.key}.{name}") for name in ("start", "end", "label", "note")]
    taken_away = set(data.getlist(f"{question.key}.remove"))
    marks = [
        {"start": _whole_or_text(start), "end": _whole_or_text(end), "label": label, "note": note or ""}
        for start, end, label, note in zip_longest(*columns)
        if f"{start}-{end}" not in taken_away
    ]
    new = new_mark(question, data)
    return [*marks, new] if new else marks


def new_mark(question: Question, data: QueryDict) -> dict[str, Any] | None:
    """The mark being made, if any: with offsets where a script knew them, else with the quoted words alone."""
    quote = data.get(f"{question.key}.new_quote", "")
    start, end = data.get(f"{question.key}.new_start", ""), data.get(f"{question.key}.new_end", "")
    said = {"label": data.get(f"{question.key}.new_label", ""), "note": data.get(f"{question.key}.new_note", "")}
    if start and end:
        return {"start": _whole_or_text(start), "end": _whole_or_text(end), **said}
    return {"quote": quote.replace("\r\n", "\n"), **said} if quote else None


def _whole_or_text(text: Any) -> Any:
    return int(text) if isinstance(text, str) and _WHOLE.fullmatch(text) else text


_READERS: Final[dict[QuestionKind, Callable[[Question, QueryDict], Any]]] = {
    QuestionKind.CHOICES: _chosen,
    QuestionKind.RATING: _whole,
    QuestionKind.NUMBER: _number,
    QuestionKind.RANKING: _ranking,
    QuestionKind.MATRIX: _matrix,
    QuestionKind.TOKEN: _tokens,
    QuestionKind.SPANS: _marks,
}
