"""What looks like personal data in somebody's answers: shown to them before it is sent, replaced where they say so."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.feedback.models import Question, QuestionKind
from portal.feedback.personal_data import Finding, find_personal_data, redact
from portal.feedback.wording import wording


@dataclass(frozen=True, slots=True)
class Place:
    """A text within the answers: of a question, or the note of one of its marks."""

    key: str
    mark: int | None
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class PersonalDatum:
    """Something in an answer that looks like personal data. `name` is what a form calls it."""

    place: Place
    finding: Finding

    @property
    def name(self) -> str:
        mark = "" if self.place.mark is None else self.place.mark
        return f"{self.place.key}.{mark}.{self.finding.start}"


def personal_data_in(questions: Iterable[Question], answers: Mapping[str, Any], known: str = "") -> list[PersonalDatum]:
    """Everything found in what the person wrote; not what stands in `known`, the text that they answer to."""
    return [
        PersonalDatum(place, finding)
        for place in _places(questions, answers)
        for finding in find_personal_data(place.text)
        if finding.text not in known
    ]


def digest_of(data: Iterable[PersonalDatum]) -> str:
    """Stands for these findings, so that a form can say that the person has seen them."""
    seen = "\n".join(f"{datum.name}:{datum.finding.kind}:{datum.finding.text}" for datum in data)
    return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()


def without(data: Iterable[PersonalDatum], chosen: Collection[str], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers with the findings that `chosen` names replaced."""
    changed = dict(answers)
    by_place: dict[Place, list[Finding]] = {}
    for datum in data:
        if datum.name in chosen:
            by_place.setdefault(datum.place, []).append(datum.finding)
    for place, findings in by_place.items():
        text = redact(place.text, findings)
        if place.mark is None:
            changed[place.key] = text
        else:
            changed[place.key] = [
                {**mark, "note": text} if index == place.mark else mark for index, mark in enumerate(changed[place.key])
            ]
    return changed


def _places(questions: Iterable[Question], answers: Mapping[str, Any]) -> Iterator[Place]:
    for question in questions:
        value = answers.get(question.key)
        label = wording(question, "label", question.label)
        if question.kind in {QuestionKind.TEXT, QuestionKind.CORRECTION} and isinstance(value, str):
            yield Place(question.key, None, label, value)
        elif question.kind == QuestionKind.SPANS and isinstance(value, list):
            for index, mark in enumerate(value):
                if isinstance(mark, dict) and isinstance(mark.get("note"), str):
                    yield Place(question.key, index, label, mark["note"])
