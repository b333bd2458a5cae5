"""What a card's extra_gated_… fields ask of somebody who wants to run its model. Pure; an odd shape asks nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

MAX_QUESTIONS: Final = 20
MAX_OPTIONS: Final = 60
MAX_TERMS_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """One question of the access form; `options` are (value, label), for a select alone."""

    name: str
    kind: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GateTerms:
    """The form above the questions; texts are empty where the card has none."""

    heading: str
    description: str
    prompt: str
    button: str
    questions: tuple[GateQuestion, ...]
    eu_disallowed: bool


def describe_gate(metadata: dict[str, Any]) -> GateTerms:
    """Read front matter that may have any shape. Never raises."""
    fields = metadata.get("extra_gated_fields")
    stated = list(fields.items())[:MAX_QUESTIONS] if isinstance(fields, dict) else []
    questions = (_question(str(name)[:200], kind) for name, kind in stated)
    return GateTerms(
        heading=_text(metadata.get("extra_gated_heading"), 200),
        description=_text(metadata.get("extra_gated_description"), 2_000),
        prompt=_text(metadata.get("extra_gated_prompt"), MAX_TERMS_CHARACTERS),
        button=_text(metadata.get("extra_gated_button_content"), 80),
        questions=tuple(question for question in questions if question is not None),
        eu_disallowed=metadata.get("extra_gated_eu_disallowed") is True,
    )


def _text(value: Any, limit: int) -> str:
    return value.strip()[:limit] if isinstance(value, str) else ""


def _question(name: str, kind: Any) -> GateQuestion | None:
    """None for what is not asked here: a person's place by their network address, for one, is not gathered."""
    said = kind if isinstance(kind, dict) else {"type": kind}
    match said.get("type"):
        case "text" | "checkbox" | "date_picker" | "country" as known:
            return GateQuestion(name, str(known))
        case "select" if isinstance(said.get("options"), list) and said["options"]:
            return GateQuestion(name, "select", tuple(_option(each) for each in said["options"][:MAX_OPTIONS]))
        case _:
            return None


def _option(option: Any) -> tuple[str, str]:
    if isinstance(option, dict):
        label = str(option.get("label", ""))[:200]
        value = str(option.get("value", label))[:200]
        return value, label or value
    return str(option)[:200], str(option)[:200]
