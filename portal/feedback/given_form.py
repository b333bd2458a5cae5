"""One sending of a form with questions: its answers, its terms, and whether the person saw what to think about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict

from portal.feedback.forms import answers_from_form, version_from_form
from portal.feedback.models import Question
from portal.feedback.personal_data_check import PersonalDatum, digest_of, personal_data_in, without
from portal.feedback.terms import Terms, terms_of


@dataclass(frozen=True, slots=True)
class GivenForm:
    """`unseen` is what looks like personal data and has not been shown yet; nothing is stored while there is any."""

    answers: dict[str, Any]
    terms: Terms | None
    version: int | None
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    unseen: tuple[PersonalDatum, ...] = ()

    @property
    def seen_digest(self) -> str:
        return digest_of(self.unseen)


def read_given(questions: Iterable[Question], data: QueryDict, known: str = "") -> GivenForm:
    """What the form says, with the findings replaced that it ticks. One without terms leaves them as they are.

    `errors` has what is wrong with the terms; the answers are not validated yet.
    """
    questions = list(questions)
    form = GivenForm(answers=answers_from_form(questions, data), terms=None, version=version_from_form(data))
    if "consent" in data or "licence" in data:
        try:
            form = replace(form, terms=terms_of(data.get("consent", ""), data.get("licence", "")))
        except ValidationError as error:
            return replace(form, errors=error.message_dict)
    found = personal_data_in(questions, form.answers, known)
    if not found:
        return form
    if data.get("seen") != digest_of(found):
        return replace(form, unseen=tuple(found))
    return replace(form, answers=without(found, set(data.getlist("redact")), form.answers))
