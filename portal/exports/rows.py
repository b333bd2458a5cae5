"""One judgement of an answer as one row of data: pure, from what was read to what is given out.

A row names nobody: its contributor is a pseudonym, the same for all of one person's rows.
"""

from __future__ import annotations

import hmac
import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypedDict

from portal.exports.records import SubmissionRecord

DIGESTS_KEY: Final = "weights_sha256"
PSEUDONYM_HEX_DIGITS: Final = 20


class FeedbackRow(TypedDict):
    """The public form of a judgement of an answer. Times are ISO 8601 in UTC."""

    id: str
    created_at: str
    changed_at: str
    # Rises with every change.
    version: int
    # The same for all judgements of one person or anonymous visitor; null when the account is gone.
    contributor: str | None
    questionnaire: str
    questionnaire_version: int
    # Question key → value, in the questionnaire's order; only what was answered.
    answers: dict[str, Any]
    # What was agreed to, and where the review stands.
    consent: str
    licence: str
    language: str
    review_state: str
    generation: str
    # owner/name, variant, and owner/name:variant as clients call it.
    card: str | None
    variant: str | None
    model: str | None
    # 1 for the first prompt of a conversation; earlier turns are not shared.
    turn: int
    prompt: str
    output: str
    finish_reason: str
    params: dict[str, Any]
    seed: int | None
    # File name → SHA-256 of the weights that ran.
    weights_sha256: dict[str, str]
    # What else is needed to repeat the run: chat template, data type, library versions.
    provenance: dict[str, Any]


def build_row(record: SubmissionRecord, salt: bytes) -> FeedbackRow:
    """The row of a judgement of an answer; `salt` makes the pseudonyms, and never leaves the installation."""
    params = record.params or {}
    provenance = dict(record.provenance or {})
    return FeedbackRow(
        id=record.id,
        created_at=record.created_at,
        changed_at=record.changed_at,
        version=record.version,
        contributor=pseudonym(salt, record.owner_id, record.visitor),
        questionnaire=record.questionnaire,
        questionnaire_version=record.questionnaire_version,
        answers=record.values,
        consent=record.consent,
        licence=record.licence,
        language=record.language,
        review_state=record.review_state,
        generation=record.generation or "",
        card=record.card,
        variant=record.variant,
        model=record.model,
        turn=user_turns(record.messages or []),
        prompt=record.prompt or "",
        output=record.output or "",
        finish_reason=record.finish_reason or "",
        params=params,
        seed=params.get("seed"),
        weights_sha256=provenance.pop(DIGESTS_KEY, {}),
        provenance=provenance,
    )


def user_turns(messages: list[dict[str, Any]]) -> int:
    """How many prompts a chat has."""
    return sum(message.get("role") == "user" for message in messages)


@lru_cache(maxsize=10_000)
def pseudonym(salt: bytes, owner_id: int | None, visitor: uuid.UUID | str | None) -> str | None:
    """A name that says only that two judgements come from the same contributor."""
    if owner_id is not None:
        person = f"user:{owner_id}"
    elif visitor is not None:
        person = f"visitor:{visitor}"
    else:
        return None
    return "c" + hmac.digest(salt, person.encode(), "sha256").hex()[:PSEUDONYM_HEX_DIGITS]


def reviewer_pseudonym(salt: bytes, reviewer_id: int | None) -> str | None:
    """A name for a reviewer, which is not the one that they have as a contributor."""
    if reviewer_id is None:
        return None
    return "r" + hmac.digest(salt, f"reviewer:{reviewer_id}".encode(), "sha256").hex()[:PSEUDONYM_HEX_DIGITS]


def iso_utc(moment: datetime) -> str:
    """Always with microseconds, so that the texts sort as the times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
