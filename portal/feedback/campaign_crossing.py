"""Two questions of a campaign crossed: of those who said one thing, how many said another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from portal.arena.review_states import SET_ASIDE
from portal.feedback.campaign_results import Bar, bar_group, options_of
from portal.feedback.models import Answer, Campaign, Question, QuestionKind

# Questions whose answers are one or several of few: they have bars, and can be crossed with each other.
CATEGORICAL: Final = frozenset(
    {QuestionKind.THUMB, QuestionKind.YES_NO, QuestionKind.RATING, QuestionKind.CHOICE, QuestionKind.CHOICES}
)


@dataclass(frozen=True, slots=True)
class CrossRow:
    label: str
    n: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class CrossTable:
    """Of those who chose a row's answer, how many chose each column's. Who may choose several counts in each."""

    row: Question
    column: Question
    columns: tuple[str, ...]
    rows: tuple[CrossRow, ...]


def categorical_questions(campaign: Campaign) -> list[Question]:
    return [question for question in campaign.questionnaire.questions.all() if question.kind in CATEGORICAL]


def cross_table(campaign: Campaign, row: Question, column: Question, language: str = "") -> CrossTable:
    """Shares of the column's answers within each row's, over those who answered both."""
    answers = Answer.objects.filter(
        question__in=[row, column], submission__campaign=campaign, submission__withdrawn_at=None
    ).exclude(submission__review_state__in=SET_ASIDE)
    said: dict[Any, dict[int, Any]] = {}
    columns = ("submission_id", "question_id", "number", "choice", "data")
    for submission, question, number, choice, data in answers.order_by().values_list(*columns).iterator():
        said.setdefault(submission, {})[question] = data if data is not None else [choice or number]
    counts: dict[Any, Counter[Any]] = {}
    totals: Counter[Any] = Counter()
    for both in said.values():
        if len(both) < len({row.pk, column.pk}):
            continue
        for row_key in both[row.pk]:
            totals[row_key] += 1
            counts.setdefault(row_key, Counter()).update(both[column.pk])
    options = options_of(column, language)
    rows = [
        CrossRow(label, totals[key], bar_group(options, counts.get(key, {}), totals[key]).bars)
        for key, label in options_of(row, language)
    ]
    return CrossTable(row, column, tuple(label for _key, label in options), tuple(rows))
