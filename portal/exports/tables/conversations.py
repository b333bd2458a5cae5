"""`conversations`: the parts of conversation trees that their owners shared by judging them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
from portal.exports.queries import in_chunks, selected, until_now
from portal.exports.rows import DIGESTS_KEY, iso_utc, pseudonym
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import CONTRIBUTOR, SUBMISSION_FILTERS
from portal.exports.tables.table import ExportTable, Plan
from portal.feedback.models import PUBLISHABLE, Submission, Target
from portal.playground.models import Conversation, Generation

# Times are those of the conversations; all else is said of the judgements, one of which has to fit.
TIMES: Final = frozenset({"since", "until"})
FILTERS: Final = SUBMISSION_FILTERS
SCHEMA: Final = Schema(
    (
        Column("conversation", Kind.TEXT, _("The conversation's id.")),
        Column("created_at", Kind.TIME, _("When it was begun, UTC.")),
        CONTRIBUTOR,
        Column(
            "generations",
            Kind.JSON,
            _(
                "The judged runs, oldest first: id, parent (null where the turn before was not shared), created_at, "
                "model, prompt, output, finish_reason, params, weights_sha256, submissions (ids)."
            ),
        ),
    )
)
GivenBy = dict[uuid.UUID, list[str]]
"""Generation → ids of its publishable submissions."""


def conversation_row(conversation: Conversation, shared: list[Generation], given: GivenBy, salt: bytes) -> Row:
    """One row per conversation; `shared` are its judged runs, oldest first."""
    ids = {generation.pk for generation in shared}
    return {
        "conversation": str(conversation.pk),
        "created_at": iso_utc(conversation.created_at),
        "contributor": pseudonym(salt, conversation.owner_id, conversation.visitor),
        "generations": [_node(generation, ids, given) for generation in shared],
    }


def _node(generation: Generation, shared: set[uuid.UUID], given: GivenBy) -> dict[str, Any]:
    return {
        "id": str(generation.pk),
        "parent": str(generation.parent_id) if generation.parent_id in shared else None,
        "created_at": iso_utc(generation.created_at),
        "model": generation.variant.model_id,
        "prompt": generation.prompt,
        "output": generation.output,
        "finish_reason": generation.finish_reason,
        "params": generation.params,
        "weights_sha256": generation.provenance.get(DIGESTS_KEY),
        "submissions": given[generation.pk],
    }


def published_on(generations: Iterable[Any] | QuerySet[Generation]) -> QuerySet[Submission]:
    """The live judgements of these runs whose contributors agreed to publish them."""
    return Submission.objects.filter(
        generation__in=generations, target=Target.GENERATION, withdrawn_at=None, consent__in=PUBLISHABLE
    )


def _selected(criteria: Criteria) -> QuerySet[Conversation]:
    judged = selected(criteria.only(FILTERS - TIMES)).filter(generation__conversation=OuterRef("pk"))
    conversations = Conversation.objects.filter(Exists(judged))
    if criteria.since is not None:
        conversations = conversations.filter(created_at__gte=criteria.since)
    return conversations.filter(created_at__lt=criteria.until)


def _rows(conversations: QuerySet[Conversation], salt: bytes) -> Iterator[list[Row]]:
    for chunk in in_chunks(conversations):
        generations = Generation.objects.filter(conversation__in=chunk)
        given: GivenBy = defaultdict(list)
        submissions = published_on(generations).order_by("created_at", "id").values_list("generation_id", "pk")
        for generation_id, submission_id in submissions:
            assert generation_id is not None
            given[generation_id].append(str(submission_id))
        shared: dict[uuid.UUID, list[Generation]] = defaultdict(list)
        for generation in (
            Generation.objects.filter(pk__in=given).select_related("variant__card").order_by("created_at", "id")
        ):
            shared[generation.conversation_id].append(generation)
        # One whose last judgement was withdrawn between the queries has nothing left to show.
        yield [conversation_row(each, shared[each.pk], given, salt) for each in chunk if each.pk in shared]


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    conversations = _selected(until_now(criteria))
    return Plan(SCHEMA, _rows(conversations, salt), expected=conversations.count)


CONVERSATIONS: Final = ExportTable(
    name="conversations",
    title=_("Conversation trees"),
    summary=_("The judged turns of conversations, as trees; what was not judged is not shared."),
    schema=SCHEMA,
    filters=FILTERS,
    make_plan=_plan,
    records_of=lambda row: (each for node in row["generations"] for each in node["submissions"]),
)
