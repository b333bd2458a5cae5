"""`sft`, `dpo`, `kto`, `reward`: training sets in the columns that TRL's trainers take, each row with its source.

https://huggingface.co/docs/trl/dataset_formats, all conversational: SFT is language modelling, DPO preference with an
explicit prompt, KTO unpaired preference, reward preference with an implicit prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
from portal.exports.preferences import Completion, Labelled, Pair
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import (
    CONSENT,
    CONTRIBUTOR,
    CREATED_AT,
    LANGUAGE,
    LICENCE,
    QUESTIONNAIRE,
    QUESTIONNAIRE_VERSION,
    REVIEW_STATE,
    SUBMISSION_FILTERS,
)
from portal.exports.tables.table import ExportTable, Plan
from portal.exports.tables.training_examples import Example, expected_examples, read_examples


def _nullable(column: Column) -> Column:
    return Column(column.name, column.kind, column.meaning, is_nullable=True, category=column.category)


_ORIGIN: Final = Column(
    "origin",
    Kind.TEXT,
    _("The judgement that it comes from: thumb, correction, siblings, vote, token_choice."),
    category=True,
)
_SOURCE: Final = (
    CREATED_AT,
    Column("submissions", Kind.TEXTS, _("The submissions that it comes from.")),
    Column("vote", Kind.TEXT, _("The vote that it comes from."), is_nullable=True),
    CONTRIBUTOR,
    _nullable(QUESTIONNAIRE),
    _nullable(QUESTIONNAIRE_VERSION),
    REVIEW_STATE,
    _nullable(CONSENT),
    _nullable(LICENCE),
    LANGUAGE,
)


def _written_by(name: str, part: Promise | str) -> tuple[Column, Column]:
    return (
        Column(f"model{name}", Kind.TEXT, part, is_nullable=True, category=True),
        Column(f"weights_sha256{name}", Kind.JSON, _("File name → SHA-256 of the weights that wrote it.")),
    )


_WRITER: Final = _written_by("", _("The variant that wrote the completion; null for a person's correction."))
_WRITERS: Final = (
    *_written_by("_chosen", _("The variant that wrote the chosen completion; null for a person's correction.")),
    *_written_by("_rejected", _("The variant that wrote the rejected completion.")),
)
SFT_SCHEMA: Final = Schema(
    (
        Column("messages", Kind.MESSAGES, _("The chat, with the desirable completion at its end.")),
        _ORIGIN,
        *_WRITER,
        *_SOURCE,
    )
)
DPO_SCHEMA: Final = Schema(
    (
        Column("prompt", Kind.MESSAGES, _("The chat before the completions.")),
        Column("chosen", Kind.MESSAGES, _("The completion that was preferred.")),
        Column("rejected", Kind.MESSAGES, _("The other one.")),
        _ORIGIN,
        *_WRITERS,
        *_SOURCE,
    )
)
KTO_SCHEMA: Final = Schema(
    (
        Column("prompt", Kind.MESSAGES, _("The chat before the completion.")),
        Column("completion", Kind.MESSAGES, _("The completion.")),
        Column("label", Kind.BOOLEAN, _("Whether it is desirable.")),
        _ORIGIN,
        *_WRITER,
        *_SOURCE,
    )
)
REWARD_SCHEMA: Final = Schema(
    (
        Column("chosen", Kind.MESSAGES, _("The chat with the preferred completion at its end.")),
        Column("rejected", Kind.MESSAGES, _("The chat with the other one at its end.")),
        _ORIGIN,
        *_WRITERS,
        *_SOURCE,
    )
)


def sft_rows(example: Example) -> Iterator[Row]:
    """A row per desirable completion."""
    for labelled in example.labelled:
        if labelled.is_desirable:
            messages = _chat(example) + _said(labelled.completion)
            yield {"messages": messages, **_origin(labelled), **_writer("", labelled.completion), **_source(example)}


def kto_rows(example: Example) -> Iterator[Row]:
    """A row per labelled completion."""
    for labelled in example.labelled:
        yield {
            "prompt": _chat(example),
            "completion": _said(labelled.completion),
            "label": labelled.is_desirable,
            **_origin(labelled),
            **_writer("", labelled.completion),
            **_source(example),
        }


def dpo_rows(example: Example) -> Iterator[Row]:
    """A row per pair."""
    for pair in example.pairs:
        texts = {"prompt": _chat(example), "chosen": _said(pair.chosen), "rejected": _said(pair.rejected)}
        yield {**texts, **_origin(pair), **_writers(pair), **_source(example)}


def reward_rows(example: Example) -> Iterator[Row]:
    """A row per pair, each side a whole chat."""
    for pair in example.pairs:
        texts = {
            "chosen": _chat(example) + _said(pair.chosen),
            "rejected": _chat(example) + _said(pair.rejected),
        }
        yield {**texts, **_origin(pair), **_writers(pair), **_source(example)}


def _chat(example: Example) -> list[dict[str, Any]]:
    return [{"role": message["role"], "content": message["content"]} for message in example.messages]


def _said(completion: Completion) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": completion.text}]


def _origin(part: Labelled | Pair) -> Row:
    return {"origin": part.origin.value}


def _writer(name: str, completion: Completion) -> Row:
    return {f"model{name}": completion.model, f"weights_sha256{name}": completion.weights_sha256}


def _writers(pair: Pair) -> Row:
    return {**_writer("_chosen", pair.chosen), **_writer("_rejected", pair.rejected)}


def _source(example: Example) -> Row:
    source = example.source
    return {
        "created_at": source.created_at,
        "submissions": source.submissions,
        "vote": source.vote,
        "contributor": source.contributor,
        "questionnaire": source.questionnaire,
        "questionnaire_version": source.questionnaire_version,
        "review_state": source.review_state,
        "consent": source.consent,
        "licence": source.licence,
        "language": source.language,
    }


def _records_of(row: Row) -> Iterator[str]:
    yield from row["submissions"]
    if row["vote"] is not None:
        yield row["vote"]


def _table(
    name: str, title: Promise | str, summary: Promise | str, schema: Schema, rows: Callable[[Example], Iterator[Row]]
) -> ExportTable:
    def plan(criteria: Criteria, salt: bytes) -> Plan:
        chunks = read_examples(criteria, salt)
        found = ([row for example in chunk for row in rows(example)] for chunk in chunks)
        return Plan(schema, found, expected=lambda: expected_examples(criteria))

    return ExportTable(
        name=name,
        title=title,
        summary=summary,
        schema=schema,
        filters=SUBMISSION_FILTERS,
        make_plan=plan,
        records_of=_records_of,
        is_training=True,
    )


SFT: Final = _table(
    "sft",
    _("Training set: SFT"),
    _("Chats that end in a desirable answer, for TRL's SFTTrainer."),
    SFT_SCHEMA,
    sft_rows,
)
DPO: Final = _table(
    "dpo",
    _("Training set: DPO"),
    _("Pairs of a preferred and another answer, for TRL's DPOTrainer."),
    DPO_SCHEMA,
    dpo_rows,
)
KTO: Final = _table(
    "kto",
    _("Training set: KTO"),
    _("Answers labelled as desirable or not, for TRL's KTOTrainer."),
    KTO_SCHEMA,
    kto_rows,
)
REWARD: Final = _table(
    "reward",
    _("Training set: reward model"),
    _("Pairs of whole chats, for TRL's RewardTrainer."),
    REWARD_SCHEMA,
    reward_rows,
)
