"""Columns that several tables share, each with the one sentence that says what it means."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from portal.exports.records import SubmissionRecord
from portal.exports.rows import DIGESTS_KEY, pseudonym, user_turns
from portal.exports.schema import Column, Kind, Row

CREATED_AT: Final = Column("created_at", Kind.TIME, _("When it was given, UTC."))
CARD: Final = Column("card", Kind.TEXT, _("The model card, owner/name."), is_nullable=True, category=True)
MODEL: Final = Column(
    "model", Kind.TEXT, _("The variant that answered, owner/name:variant."), is_nullable=True, category=True
)
LANGUAGE: Final = Column("language", Kind.TEXT, _("ISO 639-1 of what was written."), category=True)
LICENCE: Final = Column("licence", Kind.TEXT, _("The licence that the contributor chose."), category=True)
CONSENT: Final = Column(
    "consent", Kind.TEXT, _("How far it may go: publish, or quote (published and quoted in words)."), category=True
)
REVIEW_STATE: Final = Column("review_state", Kind.TEXT, _("What reviewers made of it."), category=True)
CONTRIBUTOR: Final = Column(
    "contributor",
    Kind.TEXT,
    _("A pseudonym, the same for all that one person gave; null when the account is gone."),
    is_nullable=True,
    category=True,
)
QUESTIONNAIRE: Final = Column("questionnaire", Kind.TEXT, _("The questionnaire's name."), category=True)
QUESTIONNAIRE_VERSION: Final = Column("questionnaire_version", Kind.INTEGER, _("Its version."))

SUBMISSION_FILTERS: Final = frozenset(
    {"card", "variant", "rating", "rating_min", "rating_max", "thumb", "since", "until", "questionnaire", "campaign",
     "language", "licence", "review_state", "label", "agreement_min"}
)  # fmt: skip

GIVEN: Final = (
    Column("id", Kind.TEXT, _("The submission's id.")),
    CREATED_AT,
    Column("changed_at", Kind.TIME, _("When it was last changed, UTC.")),
    Column("version", Kind.INTEGER, _("Rises with every change.")),
    CONTRIBUTOR,
    QUESTIONNAIRE,
    QUESTIONNAIRE_VERSION,
)
TERMS: Final = (CONSENT, LICENCE, LANGUAGE, REVIEW_STATE)
JUDGED: Final = (
    Column("target", Kind.TEXT, _("What was judged: generation, comparison, card or campaign."), category=True),
    CARD,
    MODEL,
    Column("campaign", Kind.TEXT, _("The campaign that asked, where one did."), is_nullable=True, category=True),
    Column("comparison", Kind.TEXT, _("The comparison that was judged."), is_nullable=True),
    Column("generation", Kind.TEXT, _("The run whose answer was judged."), is_nullable=True),
    Column("turn", Kind.INTEGER, _("1 for the first prompt of a conversation."), is_nullable=True),
    Column("prompt", Kind.TEXT, _("The last prompt."), is_nullable=True),
    Column("output", Kind.TEXT, _("The answer that was judged."), is_nullable=True),
    Column("finish_reason", Kind.TEXT, _("Why the answer ended."), is_nullable=True, category=True),
    Column("params", Kind.JSON, _("The sampling parameters.")),
    Column("weights_sha256", Kind.JSON, _("File name → SHA-256 of the weights that ran.")),
)


def given_columns(record: SubmissionRecord, salt: bytes) -> Row:
    """GIVEN."""
    return {
        "id": record.id,
        "created_at": record.created_at,
        "changed_at": record.changed_at,
        "version": record.version,
        "contributor": pseudonym(salt, record.owner_id, record.visitor),
        "questionnaire": record.questionnaire,
        "questionnaire_version": record.questionnaire_version,
    }


def terms_columns(record: SubmissionRecord) -> Row:
    """TERMS."""
    return {
        "consent": record.consent,
        "licence": record.licence,
        "language": record.language,
        "review_state": record.review_state,
    }


def judged_columns(record: SubmissionRecord) -> Row:
    """JUDGED."""
    provenance: dict[str, Any] = record.provenance or {}
    return {
        "target": record.target,
        "card": record.card,
        "model": record.model,
        "campaign": record.campaign,
        "comparison": record.comparison,
        "generation": record.generation,
        "turn": None if record.messages is None else user_turns(record.messages),
        "prompt": record.prompt,
        "output": record.output,
        "finish_reason": record.finish_reason,
        "params": record.params,
        "weights_sha256": provenance.get(DIGESTS_KEY),
    }
