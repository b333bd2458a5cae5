"""Reading live judgements in the order of their creation, a page at a time, each page at the cost of the first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.catalog.models import ModelCard, Variant
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.cursors import Position
from portal.exports.rows import FeedbackRecord, FeedbackRow, build_row
from portal.feedback.answer_quality import HELPFULNESS_KEY, THUMB_KEY
from portal.feedback.models import COLUMNS, PUBLISHABLE, Answer, Submission, Target, stored_value

CHUNK_ROWS: Final = 500
_GONE: Final[tuple[int, dict[str, Any]]] = (0, {})

# In the order of FeedbackRecord's fields.
_COLUMNS: Final = (
    "id", "created_at", "changed_at", "version", "owner_id", "visitor",
    "questionnaire__slug", "questionnaire__version",
    "generation_id", "generation__variant__card__owner_name", "generation__variant__card__slug",
    "generation__variant__slug", "generation__messages", "generation__prompt", "generation__output",
    "generation__finish_reason", "generation__params", "generation__provenance",
)  # fmt: skip


def selected(criteria: Criteria) -> QuerySet[Submission]:
    """The live submissions that `criteria` select. Raises InvalidCriterion when a card or variant does not exist."""
    submissions = Submission.objects.filter(withdrawn_at=None, target=Target.GENERATION, consent__in=PUBLISHABLE)
    if criteria.card is not None:
        submissions = submissions.filter(card=_card_key(criteria.card))
    if criteria.variant is not None:
        submissions = submissions.filter(variant=_variant_key(criteria.variant))
    if criteria.thumb is not None:
        submissions = submissions.filter(_answered(THUMB_KEY, choice=criteria.thumb))
    ratings = {
        "number": criteria.rating,
        "number__gte": criteria.rating_min,
        "number__lte": criteria.rating_max,
    }
    if wanted := {lookup: bound for lookup, bound in ratings.items() if bound is not None}:
        submissions = submissions.filter(_answered(HELPFULNESS_KEY, **wanted))
    if criteria.since is not None:
        submissions = submissions.filter(created_at__gte=criteria.since)
    if criteria.until is not None:
        submissions = submissions.filter(created_at__lt=criteria.until)
    return submissions


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in order, and where the next page begins; None at the end."""

    rows: list[FeedbackRow]
    next: Position | None


def read_page(submissions: QuerySet[Submission], after: Position | None, limit: int) -> Page:
    """At most `limit` rows behind `after`, in a constant number of queries."""
    if after is not None:
        # The first condition is what the index can use; a row comparison says the same but not in every database.
        submissions = submissions.filter(
            Q(created_at__gte=after.created_at) & (Q(created_at__gt=after.created_at) | Q(id__gt=after.id))
        )
    found = _records(submissions.order_by("created_at", "id")[: limit + 1])
    records = found[:limit]
    salt = settings.EXPORT_SALT.encode()
    rows = [build_row(record, salt) for record in _with_answers(submissions, records)]
    return Page(rows, Position(records[-1].created_at, records[-1].id) if len(found) > limit else None)


def read_all(criteria: Criteria) -> Iterator[list[FeedbackRow]]:
    """Every row in chunks; nothing is held between them, neither memory nor a transaction.

    What is created after the first chunk was asked for is left out, so that a busy site's export ends.
    """
    now = timezone.now()
    submissions = selected(replace(criteria, until=now if criteria.until is None else min(criteria.until, now)))
    return _chunks(submissions)


def row_of(submission: Submission) -> FeedbackRow | None:
    """The row of one submission; None when it is withdrawn."""
    page = read_page(Submission.objects.filter(pk=submission.pk, withdrawn_at=None), None, 1)
    return page.rows[0] if page.rows else None


def _chunks(submissions: QuerySet[Submission]) -> Iterator[list[FeedbackRow]]:
    page = read_page(submissions, None, CHUNK_ROWS)
    while page.next is not None:
        yield page.rows
        page = read_page(submissions, page.next, CHUNK_ROWS)
    yield page.rows


def _records(submissions: QuerySet[Submission]) -> list[FeedbackRecord]:
    return [FeedbackRecord(*values) for values in submissions.values_list(*_COLUMNS)]


def _with_answers(submissions: QuerySet[Submission], records: list[FeedbackRecord]) -> list[FeedbackRecord]:
    """The records with their answers. One that was changed or withdrawn between the two queries is read again."""
    complete: dict[uuid.UUID, FeedbackRecord] = {}
    order = [record.id for record in records]
    while records:
        answers = _answers([record.id for record in records])
        fresh = [record for record in records if answers.get(record.id, _GONE)[0] == record.version]
        complete |= {record.id: replace(record, answers=answers[record.id][1]) for record in fresh}
        stale = [record.id for record in records if record.id not in complete]
        records = _records(submissions.filter(pk__in=stale)) if stale else []
    return [complete[each] for each in order if each in complete]


def _answers(submission_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[int, dict[str, Any]]]:
    """The version and the answers of each submission, as one statement sees them."""
    found = Submission.objects.filter(pk__in=submission_ids).order_by("answers__question__position")
    read: dict[uuid.UUID, tuple[int, dict[str, Any]]] = {}
    for submission_id, version, key, *stored in found.values_list(
        "id", "version", "answers__question__key", *(f"answers__{column}" for column in COLUMNS)
    ):
        _version, values = read.setdefault(submission_id, (version, {}))
        # Without an answer the join still gives one row.
        if key is not None:
            values[key] = stored_value(*stored)
    return read


def _answered(key: str, **value: Any) -> Exists:
    return Exists(Answer.objects.filter(submission=OuterRef("pk"), question__key=key, **value))


def _card_key(name: str) -> int:
    owner_name, slug = name.split("/")
    key = ModelCard.objects.filter(owner_name=owner_name, slug=slug).values_list("pk", flat=True).first()
    if key is None:
        raise InvalidCriterion("card", _("There is no card %s here.") % name)
    return key


def _variant_key(model_id: str) -> int:
    card, slug = model_id.split(":")
    owner_name, card_slug = card.split("/")
    found = Variant.objects.filter(card__owner_name=owner_name, card__slug=card_slug, slug=slug)
    key = found.values_list("pk", flat=True).first()
    if key is None:
        raise InvalidCriterion("variant", _("There is no variant %s here.") % model_id)
    return key
