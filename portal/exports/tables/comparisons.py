"""`comparisons`: votes on two answers, in the columns of LMSYS's arena data sets and some more."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.arena.models import Kind as ContestKind
from portal.arena.models import Outcome, Vote
from portal.exports.criteria import Criteria
from portal.exports.queries import card_key, in_chunks, until_now, variant_key
from portal.exports.reviewed import reviewed
from portal.exports.rows import DIGESTS_KEY, iso_utc, pseudonym
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import LANGUAGE
from portal.exports.tables.table import ExportTable, Plan
from portal.playground.models import Generation

WINNERS: Final = {
    Outcome.A: "model_a",
    Outcome.B: "model_b",
    Outcome.TIE: "tie",
    Outcome.BOTH_BAD: "tie (bothbad)",
}
FILTERS: Final = frozenset({"card", "variant", "since", "until", "language", "review_state", "label", "agreement_min"})

SCHEMA: Final = Schema(
    (
        Column("question_id", Kind.TEXT, _("The vote's id.")),
        Column("created_at", Kind.TIME, _("When the vote was given, UTC.")),
        Column("tstamp", Kind.NUMBER, _("The same in seconds since 1970.")),
        Column("model_a", Kind.TEXT, _("The variant on the left, owner/name:variant."), category=True),
        Column("model_b", Kind.TEXT, _("The variant on the right."), category=True),
        Column("winner", Kind.TEXT, _("model_a, model_b, tie, or tie (bothbad)."), category=True),
        Column("judge", Kind.TEXT, _("The voter's pseudonym; null when the account is gone."), True, category=True),
        Column("conversation_a", Kind.MESSAGES, _("The chat on the left; null where its texts are not shared."), True),
        Column("conversation_b", Kind.MESSAGES, _("The chat on the right."), True),
        Column("turn", Kind.INTEGER, _("How many prompts were answered before the vote.")),
        Column("anony", Kind.BOOLEAN, _("Whether the names were hidden until the vote.")),
        LANGUAGE,
        Column("category", Kind.TEXT, _("What the prompt is about."), category=True),
        Column("hardness", Kind.INTEGER, _("How many of the stated signs of a hard prompt it has.")),
        Column("pool", Kind.TEXT, _("The pool that the battle was drawn from."), True, category=True),
        Column("reasons", Kind.TEXTS, _("The reasons that were ticked.")),
        Column("void_reason", Kind.TEXT, _("Why the vote is not ranked; empty when it is."), category=True),
        Column("review_state", Kind.TEXT, _("What reviewers made of it."), category=True),
        Column("params_a", Kind.JSON, _("The sampling parameters on the left.")),
        Column("params_b", Kind.JSON, _("The sampling parameters on the right.")),
        Column("weights_sha256_a", Kind.JSON, _("File name → SHA-256 of the weights on the left.")),
        Column("weights_sha256_b", Kind.JSON, _("File name → SHA-256 of the weights on the right.")),
    )
)


def comparison_row(vote: Vote, salt: bytes) -> Row:
    """One row per vote. Texts are those of battles, whose page says that they are published, while they exist."""
    comparison = vote.comparison
    is_shared = comparison is not None and vote.kind == ContestKind.BATTLE
    a = comparison.generation_a if comparison is not None else None
    b = comparison.generation_b if comparison is not None else None
    return {
        "question_id": str(vote.pk),
        "created_at": iso_utc(vote.created_at),
        "tstamp": vote.created_at.timestamp(),
        "model_a": vote.variant_a.model_id,
        "model_b": vote.variant_b.model_id,
        "winner": WINNERS[Outcome(vote.outcome)],
        "judge": pseudonym(salt, vote.owner_id, vote.visitor),
        "conversation_a": chat(a) if is_shared and a is not None else None,
        "conversation_b": chat(b) if is_shared and b is not None else None,
        "turn": vote.turns,
        "anony": vote.kind == ContestKind.BATTLE,
        "language": vote.language,
        "category": vote.category,
        "hardness": vote.hardness,
        "pool": None if vote.pool is None else vote.pool.slug,
        "reasons": list(vote.reasons),
        "void_reason": vote.void_reason,
        "review_state": vote.review_state,
        "params_a": None if a is None else a.params,
        "params_b": None if b is None else b.params,
        "weights_sha256_a": None if a is None else a.provenance.get(DIGESTS_KEY),
        "weights_sha256_b": None if b is None else b.provenance.get(DIGESTS_KEY),
    }


def chat(generation: Generation) -> list[dict[str, Any]]:
    """What the model read, and its answer."""
    return [*generation.messages, {"role": "assistant", "content": generation.output}]


def selected_votes(criteria: Criteria) -> Any:
    """The votes that `criteria` select; a card or variant may stand on either side. Raises InvalidCriterion."""
    votes = Vote.objects.select_related(
        "pool", "variant_a__card", "variant_b__card", "comparison__generation_a", "comparison__generation_b"
    )
    if criteria.card is not None:
        card = card_key(criteria.card)
        votes = votes.filter(Q(variant_a__card=card) | Q(variant_b__card=card))
    if criteria.variant is not None:
        variant = variant_key(criteria.variant)
        votes = votes.filter(Q(variant_a=variant) | Q(variant_b=variant))
    columns = {
        "language": criteria.language,
        "created_at__gte": criteria.since,
        "created_at__lt": criteria.until,
        "review_state__in": criteria.review_state,
    }
    votes = votes.filter(*reviewed(criteria, "vote"))
    return votes.filter(withdrawn_at=None, **{lookup: value for lookup, value in columns.items() if value is not None})


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    votes = selected_votes(until_now(criteria))
    chunks = ([comparison_row(vote, salt) for vote in chunk] for chunk in in_chunks(votes))
    return Plan(SCHEMA, chunks, expected=votes.count)


COMPARISONS: Final = ExportTable(
    name="comparisons",
    title=_("Comparisons"),
    summary=_("One row per vote on two answers, in the columns of arena data sets."),
    schema=SCHEMA,
    filters=FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["question_id"],),
)
