"""Reading live submissions in the order of their creation, a page at a time, each page at the cost of the first."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import orjson
from django.conf import settings
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, UUIDField
from django.db.models.expressions import Combinable
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.catalog.models import ModelCard, Variant
from portal.exports import records
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.cursors import Position
from portal.exports.database_texts import IdText, PlainText, iso_text, moment_of
from portal.exports.many_ids import AnyOf
from portal.exports.records import GivenAnswer, SubmissionRecord
from portal.exports.reviewed import reviewed
from portal.exports.rows import FeedbackRow, build_row
from portal.feedback.answer_quality import HELPFULNESS_KEY, THUMB_KEY
from portal.feedback.models import COLUMNS, PUBLISHABLE, Answer, Campaign, Question, Submission, Target, stored_value

Record = TypeVar("Record", bound=Model)

UUIDField.register_lookup(AnyOf)

CHUNK_ROWS: Final = 1_000
# Whoever asked sees the first bytes when the first chunk is complete.
FIRST_CHUNK_ROWS: Final = 100
ANSWERS: Final = (Target.GENERATION,)
_ID, _CREATED_AT, _CHANGED_AT, _VERSION = (
    records.COLUMNS.index(name) for name in ("id", "created_at", "changed_at", "version")
)
_JSON: Final = tuple(records.COLUMNS.index(name) for name in records.JSON_COLUMNS)
_TEXTS: Final = {
    **dict.fromkeys((*records.JSON_COLUMNS, *records.TIME_COLUMNS), PlainText),
    **dict.fromkeys(records.ID_COLUMNS, IdText),
}
_ASKED: Final = tuple(_TEXTS[name](name) if name in _TEXTS else name for name in records.COLUMNS)
_ANSWER: Final[tuple[str | Combinable, ...]] = (
    IdText("pk"), "version", "answers__question__key", "answers__question__kind",
    *(f"answers__{column}" for column in COLUMNS if column != "data"), PlainText("answers__data"),
)  # fmt: skip
_GONE: Final[tuple[int, dict[str, GivenAnswer]]] = (0, {})


def selected(criteria: Criteria, targets: Collection[Target] = ANSWERS) -> QuerySet[Submission]:
    """The live, publishable submissions that `criteria` select.

    Raises InvalidCriterion when a card, variant or campaign does not exist.
    """
    submissions = Submission.objects.filter(withdrawn_at=None, consent__in=PUBLISHABLE)
    if len(targets) < len(Target):
        submissions = submissions.filter(target__in=targets)
    if criteria.card is not None:
        submissions = submissions.filter(card=card_key(criteria.card))
    if criteria.variant is not None:
        submissions = submissions.filter(variant=variant_key(criteria.variant))
    if criteria.campaign is not None:
        submissions = submissions.filter(campaign=_campaign_key(criteria.campaign))
    columns = {
        "questionnaire_slug": criteria.questionnaire,
        "language": criteria.language,
        "licence": criteria.licence,
        "created_at__gte": criteria.since,
        "created_at__lt": criteria.until,
        "review_state__in": criteria.review_state,
    }
    submissions = submissions.filter(**{lookup: value for lookup, value in columns.items() if value is not None})
    submissions = submissions.filter(*reviewed(criteria, "submission"))
    if criteria.thumb is not None:
        submissions = submissions.filter(_answered(THUMB_KEY, choice=criteria.thumb))
    ratings = {
        "number": criteria.rating,
        "number__gte": criteria.rating_min,
        "number__lte": criteria.rating_max,
    }
    if wanted := {lookup: bound for lookup, bound in ratings.items() if bound is not None}:
        submissions = submissions.filter(_answered(HELPFULNESS_KEY, **wanted))
    return submissions


def until_now(criteria: Criteria) -> Criteria:
    """The criteria without what is created from now on, so that a busy site's export ends."""
    now = timezone.now()
    return replace(criteria, until=now if criteria.until is None else min(criteria.until, now))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in order, and where the next page begins; None at the end."""

    rows: list[FeedbackRow]
    next: Position | None


def read_page(submissions: QuerySet[Submission], after: Position | None, limit: int) -> Page:
    """At most `limit` judgements of answers behind `after`, in a constant number of queries."""
    found, following = read_record_page(submissions, after, limit)
    salt = settings.EXPORT_SALT.encode()
    return Page([build_row(record, salt) for record in found], following)


def read_all(criteria: Criteria, salt: bytes) -> Iterator[list[FeedbackRow]]:
    """Every judgement of an answer in chunks; nothing is held between them, neither memory nor a transaction.

    What is created after the first chunk was asked for is left out, so that a busy site's export ends.
    """
    chunks = read_records(selected(until_now(criteria)))
    return ([build_row(record, salt) for record in chunk] for chunk in chunks)


def row_of(submission: Submission) -> FeedbackRow | None:
    """The row of one judgement of an answer; None when it is withdrawn."""
    page = read_page(Submission.objects.filter(pk=submission.pk, withdrawn_at=None), None, 1)
    return page.rows[0] if page.rows else None


def read_records(submissions: QuerySet[Submission]) -> Iterator[list[SubmissionRecord]]:
    """All of them with their answers, in chunks."""
    found, after = read_record_page(submissions, None, min(FIRST_CHUNK_ROWS, CHUNK_ROWS))
    yield found
    while after is not None:
        found, after = read_record_page(submissions, after, CHUNK_ROWS)
        yield found


def behind(rows: QuerySet[Any], after: Position | None) -> QuerySet[Any]:
    """Those of `rows` (with `created_at` and `id`) that come behind `after`, in order."""
    if after is not None:
        # The first condition is what the index can use; a row comparison says the same but not in every database.
        rows = rows.filter(
            Q(created_at__gte=after.created_at) & (Q(created_at__gt=after.created_at) | Q(id__gt=after.id))
        )
    return rows.order_by("created_at", "id")


def in_chunks(rows: QuerySet[Record]) -> Iterator[list[Record]]:
    """All rows (with `created_at` and `id`) as objects, in chunks that hold nothing between them."""
    after: Position | None = None
    limit = min(FIRST_CHUNK_ROWS, CHUNK_ROWS)
    while chunk := list(behind(rows, after)[:limit]):
        yield chunk
        limit = CHUNK_ROWS
        last: Any = chunk[-1]
        after = Position(last.created_at, last.id)


def card_key(name: str) -> int:
    """Raises InvalidCriterion."""
    owner_name, slug = name.split("/")
    key = ModelCard.objects.filter(owner_name=owner_name, slug=slug).values_list("pk", flat=True).first()
    if key is None:
        raise InvalidCriterion("card", _("There is no card %s here.") % name)
    return key


def variant_key(model_id: str) -> int:
    """Raises InvalidCriterion."""
    card, slug = model_id.split(":")
    owner_name, card_slug = card.split("/")
    found = Variant.objects.filter(card__owner_name=owner_name, card__slug=card_slug, slug=slug)
    key = found.values_list("pk", flat=True).first()
    if key is None:
        raise InvalidCriterion("variant", _("There is no variant %s here.") % model_id)
    return key


def _campaign_key(slug: str) -> int:
    key = Campaign.objects.filter(slug=slug).values_list("pk", flat=True).first()
    if key is None:
        raise InvalidCriterion("campaign", _("There is no campaign %s here.") % slug)
    return key


def read_record_page(
    submissions: QuerySet[Submission], after: Position | None, limit: int
) -> tuple[list[SubmissionRecord], Position | None]:
    """At most `limit` of them behind `after` with their answers, and where the next page begins; None at the end."""
    found = _read(behind(submissions, after)[: limit + 1])
    chosen = found[:limit]
    following = _position(chosen[-1]) if len(found) > limit else None
    return _with_answers(submissions, chosen), following


def _read(submissions: QuerySet[Submission]) -> list[tuple[Any, ...]]:
    return list(submissions.values_list(*_ASKED))


def _position(values: tuple[Any, ...]) -> Position:
    return Position(moment_of(values[_CREATED_AT]), uuid.UUID(values[_ID]))


def _with_answers(submissions: QuerySet[Submission], found: list[tuple[Any, ...]]) -> list[SubmissionRecord]:
    """The records with their answers. One that was changed or withdrawn between the two queries is read again."""
    complete: dict[str, SubmissionRecord] = {}
    order = [values[_ID] for values in found]
    while found:
        answers = _answers([values[_ID] for values in found])
        for values in found:
            version, given = answers.get(values[_ID], _GONE)
            if version == values[_VERSION]:
                complete[values[_ID]] = _record(values, given)
        stale = [values[_ID] for values in found if values[_ID] not in complete]
        found = _read(submissions.filter(pk__in=stale)) if stale else []
    return [complete[each] for each in order if each in complete]


def _record(values: tuple[Any, ...], answers: dict[str, GivenAnswer]) -> SubmissionRecord:
    told = list(values)
    told[_CREATED_AT] = iso_text(told[_CREATED_AT])
    told[_CHANGED_AT] = iso_text(told[_CHANGED_AT])
    for place in _JSON:
        if told[place] is not None:
            told[place] = orjson.loads(told[place])
    told.append(answers)
    return SubmissionRecord._make(told)


def _answers(submission_ids: Sequence[str]) -> dict[str, tuple[int, dict[str, GivenAnswer]]]:
    """The version and the answers of each submission, as one statement sees them."""
    found = Submission.objects.filter(pk__any_of=submission_ids).order_by("answers__question__position")
    read: dict[str, tuple[int, dict[str, GivenAnswer]]] = {}
    for submission_id, version, key, kind, number, choice, text, decimal, day, data in found.values_list(*_ANSWER):
        known = read.get(submission_id)
        if known is None:
            known = read[submission_id] = (version, {})
        # Without an answer the join still gives one row.
        if key is not None:
            value = stored_value(number, choice, text, decimal, day, None if data is None else json.loads(data))
            known[1][key] = GivenAnswer(kind, value)
    return read


def _answered(key: str, **value: Any) -> Exists:
    # Not by a join with the questions: PostgreSQL knows how often an id occurs, and not what a name leads to. It read
    # all answers where the first hundred rows were enough.
    questions = list(Question.objects.filter(key=key).values_list("pk", flat=True))
    return Exists(Answer.objects.filter(submission=OuterRef("pk"), question__in=questions, **value))
