"""How a model came to be, from the card's `training` block: six parts, each told, said to be unpublished, or absent.

The block is our own: model hubs keep it, as they keep every field that they do not know. Where a part is not in it, the
card's own headings may lead to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.catalog.card_fields import Problem
from portal.catalog.markdown import Heading

MAX_ENTRIES: Final = 50
MAX_CHARACTERS: Final = 2_000
NOT_PUBLISHED: Final = "not_published"
_ENTRY_TEXTS: Final = ("what", "detail", "why", "date")
_WEB_ADDRESS: Final = re.compile(r"^https?://[^\s\x00-\x1f]{1,2000}$", re.IGNORECASE)


class TrainingPart(models.TextChoices):
    """What a reader has to know to follow how a model came to be."""

    DATA = "data", gettext_lazy("Data")
    PROCEDURE = "procedure", gettext_lazy("Procedure")
    COMPUTE = "compute", gettext_lazy("Compute")
    DATES = "dates", gettext_lazy("Dates")
    EVALUATION = "evaluation", gettext_lazy("Evaluation")
    DECISIONS = "decisions", gettext_lazy("Decisions")


QUESTIONS: Final = {
    TrainingPart.DATA: gettext_lazy("What did it read, how much of it, and how was it chosen and filtered?"),
    TrainingPart.PROCEDURE: gettext_lazy("Which steps, in which order, with which settings and code?"),
    TrainingPart.COMPUTE: gettext_lazy("On which machines, for how long, with how much energy?"),
    TrainingPart.DATES: gettext_lazy("When was it trained and released, and where does its knowledge end?"),
    TrainingPart.EVALUATION: gettext_lazy("How was it measured on the way, and what was found?"),
    TrainingPart.DECISIONS: gettext_lazy("What was tried and left out, and why is it as it is?"),
}
_HEADINGS: Final = {
    TrainingPart.DATA: ("training data", "data", "dataset", "datasets", "pretraining data", "training datasets"),
    TrainingPart.PROCEDURE: (
        *("training procedure", "training hyperparameters", "hyperparameters", "training", "training details"),
        *("preprocessing", "fine tuning", "how it was trained", "recipe"),
    ),
    TrainingPart.COMPUTE: (
        *("compute", "compute infrastructure", "hardware", "environmental impact", "speeds sizes times"),
        *("hardware and software", "training infrastructure", "carbon footprint"),
    ),
    TrainingPart.DATES: ("dates", "training dates", "release date", "model dates", "changelog", "release history"),
    TrainingPart.EVALUATION: ("evaluation", "evaluation results", "results", "benchmarks", "benchmark results"),
    TrainingPart.DECISIONS: ("decisions", "design decisions", "design choices", "ablations", "lessons learned"),
}
_NOT_WORD: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class TrainingEntry:
    """One thing that is known; only `what` is always there."""

    what: str
    detail: str = ""
    why: str = ""
    date: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingAnswer:
    """One part: its entries, or that it is not published, or the headings of the text that tell of it, or nothing."""

    part: TrainingPart
    entries: tuple[TrainingEntry, ...] = ()
    not_published: str = ""
    headings: tuple[Heading, ...] = ()

    @property
    def question(self) -> str:
        return str(QUESTIONS[self.part])

    @property
    def is_told(self) -> bool:
        return bool(self.entries or self.headings)

    @property
    def is_answered(self) -> bool:
        """An honest “not published” is an answer, too."""
        return self.is_told or bool(self.not_published)


def describe_training(block: Any, headings: Iterable[Heading] = ()) -> tuple[TrainingAnswer, ...]:
    """All six parts in order. Never raises; what has an odd shape is left out, and training_problems names it."""
    told = block if isinstance(block, dict) else {}
    known = list(headings)
    return tuple(_answer(part, told.get(part.value), known) for part in TrainingPart)


def _answer(part: TrainingPart, value: Any, headings: list[Heading]) -> TrainingAnswer:
    if isinstance(value, dict) and (reason := _text(value.get(NOT_PUBLISHED))):
        return TrainingAnswer(part, not_published=reason)
    entries = tuple(_entries(value))
    leads = tuple(heading for heading in headings if plain_heading(heading.text) in _HEADINGS[part])
    return TrainingAnswer(part, entries=entries, headings=leads)


def plain_heading(text: str) -> str:
    """A heading's words alone, as they are compared: “3. Training_data” is “training data”."""
    return _NOT_WORD.sub(" ", text).strip().lstrip("0123456789 ").lower()


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()[:MAX_CHARACTERS]


def _entries(value: Any) -> Iterator[TrainingEntry]:
    items = value if isinstance(value, list) else [value]
    for item in items[:MAX_ENTRIES]:
        fields = item if isinstance(item, dict) else {"what": item}
        what, detail, why, date = (_text(fields.get(name)) for name in _ENTRY_TEXTS)
        if what:
            yield TrainingEntry(what, detail, why, date, tuple(_sources(fields.get("source"))))


def _sources(value: Any) -> Iterator[str]:
    for address in (value if isinstance(value, list) else [value])[:MAX_ENTRIES]:
        if isinstance(address, str) and _WEB_ADDRESS.match(address):
            yield address


def training_problems(block: Any) -> Iterator[Problem]:
    """What of a training block is not shown, by its path within the block, and what would be."""
    if block is None:
        return
    if not isinstance(block, dict):
        yield "", _("is not shown; write a mapping of %(parts)s.") % {"parts": ", ".join(TrainingPart.values)}
        return
    for name, value in block.items():
        if name not in TrainingPart.values:
            yield (
                f".{name}",
                _("is not shown; the parts are %(parts)s.") % {"parts": ", ".join(TrainingPart.values)},
            )
        elif not (isinstance(value, dict) and _text(value.get(NOT_PUBLISHED))):
            yield from _entry_problems(f".{name}", value)


def _entry_problems(path: str, value: Any) -> Iterator[Problem]:
    items = value if isinstance(value, list) else [value]
    for index, item in enumerate(items):
        at = f"{path}[{index}]" if isinstance(value, list) else path
        fields = item if isinstance(item, dict) else {"what": item}
        if not _text(fields.get("what")):
            yield at, _("is not shown; write text, or what with detail, why, date and source, or not_published.")
            continue
        source = fields.get("source")
        stated = source if isinstance(source, list) else [source] if source is not None else []
        if len(list(_sources(stated))) != len(stated):
            yield f"{at}.source", _("is shown as no link; use addresses that begin with https://.")
