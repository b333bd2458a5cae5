"""What the database says about one submission, as the row builders take it."""

from __future__ import annotations

from typing import Any, NamedTuple


class GivenAnswer(NamedTuple):
    """An answer and its question's kind (`QuestionKind`)."""

    kind: str
    value: Any


class SubmissionRecord(NamedTuple):
    """One submission, in the order that the query asks for it; without a run where its target is something else.

    Ids and times are texts, as rows have them. A tuple, since an export of a million makes a million: a frozen
    dataclass sets its fields one by one.
    """

    id: str
    created_at: str
    changed_at: str
    version: int
    owner_id: int | None
    visitor: str | None
    target: str
    questionnaire: str
    questionnaire_version: int
    consent: str
    licence: str
    language: str
    review_state: str
    campaign: str | None
    comparison: str | None
    card_owner: str | None
    card_slug: str | None
    variant: str | None
    generation: str | None
    conversation: str | None
    messages: list[dict[str, Any]] | None
    prompt: str | None
    output: str | None
    # A chat, or a raw completion, which is no chat (playground.models.Kind).
    kind: str | None
    finish_reason: str | None
    params: dict[str, Any] | None
    provenance: dict[str, Any] | None
    answers: dict[str, GivenAnswer]

    @property
    def values(self) -> dict[str, Any]:
        """Question key → value."""
        return {key: answer.value for key, answer in self.answers.items()}

    @property
    def card(self) -> str | None:
        return None if self.card_owner is None else f"{self.card_owner}/{self.card_slug}"

    @property
    def model(self) -> str | None:
        """owner/name:variant."""
        return None if self.card is None or self.variant is None else f"{self.card}:{self.variant}"


COLUMNS = (
    "id", "created_at", "changed_at", "version", "owner_id", "visitor", "target",
    "questionnaire_slug", "questionnaire__version", "consent", "licence", "language", "review_state",
    "campaign__slug", "comparison_id", "card__owner_name", "card__slug", "variant__slug",
    "generation_id", "generation__conversation_id", "generation__messages", "generation__prompt", "generation__output",
    "generation__kind", "generation__finish_reason", "generation__params", "generation__provenance",
)  # fmt: skip
"""Where a Submission has SubmissionRecord's fields but for its answers, in their order."""

JSON_COLUMNS = ("generation__messages", "generation__params", "generation__provenance")
"""Those of them that hold JSON."""
TIME_COLUMNS = ("created_at", "changed_at")
"""Those that hold a time."""
ID_COLUMNS = ("id", "visitor", "comparison_id", "generation_id", "generation__conversation_id")
"""Those that hold a UUID."""
