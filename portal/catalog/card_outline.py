"""What a card should tell, after “Model Cards for Model Reporting” (Mitchell et al. 2019), and how much of it is there.

The measure says whether something is said, not whether it is true or good: headings are found by their names, and a
section counts from MIN_WORDS words on. “Not published” in so many words is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.catalog.card_metadata import TRAINING_FIELD, describe_metadata
from portal.catalog.card_training import describe_training, plain_heading
from portal.catalog.markdown import Heading, Section, markdown_sections

MIN_WORDS: Final = 15
_WORD: Final = re.compile(r"\w+")
# What the hubs' own template has where nothing was written yet.
_PLACEHOLDER: Final = re.compile(r"\[?more information needed\]?|\btodo\b|\btbd\b", re.IGNORECASE)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OutlineSection:
    """A section of the paper: what belongs there, why readers ask, and the headings that cards give it."""

    key: str
    label: Promise
    asks: Promise
    why: Promise
    headings: tuple[str, ...]
    weight: int = 3


@dataclass(frozen=True, slots=True)
class OutlineField:
    """A field of the metadata that a program reads where a person reads a section."""

    key: str
    label: Promise
    why: Promise
    weight: int = 1


SECTIONS: Final = (
    OutlineSection(
        "details",
        _("Model details"),
        _("Who made it, when, which kind and version, under which licence, and where questions go."),
        _("A model without an author has nobody to answer for it, and one without a version cannot be cited."),
        ("model details", "model description", "model summary", "overview", "introduction", "about"),
    ),
    OutlineSection(
        "use",
        _("Intended use"),
        _("What it is for, for whom, and what it must not be used for."),
        _("Most harm comes from a model used for what its makers never tried."),
        (
            *("intended use", "intended uses", "uses", "use", "usage", "direct use", "how to use", "use cases"),
            *("intended uses limitations", "intended use cases", "out of scope use", "quickstart"),
        ),
    ),
    OutlineSection(
        "factors",
        _("Factors"),
        _("Languages, groups of people, topics and settings over which its quality may differ."),
        _("An average hides for whom it works badly."),
        ("factors", "relevant factors", "languages", "language support", "supported languages", "language coverage"),
    ),
    OutlineSection(
        "metrics",
        _("Metrics"),
        _("Which measures were chosen and why, thresholds, and how uncertain the numbers are."),
        _("A number says nothing until one knows what was counted, how, and how far chance moves it."),
        ("metrics", "evaluation metrics", "performance measures", "measures", "model performance measures"),
    ),
    OutlineSection(
        "evaluation-data",
        _("Evaluation data"),
        _("On which data it was measured, why these, and how they were prepared."),
        _("A test that the model has read, or that is unlike one's own task, proves little."),
        (
            *("evaluation data", "testing data", "testing data factors metrics", "test data", "benchmarks"),
            *("evaluation datasets",),
        ),
    ),
    OutlineSection(
        "training-data",
        _("Training data"),
        _("What it read, how much, how chosen and filtered, under which rights."),
        _("What a model knows, repeats and leaves out comes from what it read."),
        ("training data", "data", "dataset", "datasets", "training dataset", "pretraining data", "training datasets"),
    ),
    OutlineSection(
        "analyses",
        _("Quantitative analyses"),
        _("The results, as a whole and by factor."),
        _("Claims can be compared and checked only as numbers."),
        (
            *(
                "quantitative analyses",
                "evaluation",
                "results",
                "evaluation results",
                "performance",
                "benchmark results",
            ),
            *("benchmark", "evaluations"),
        ),
    ),
    OutlineSection(
        "ethics",
        _("Ethical considerations"),
        _("Sensitive data, risks and harms, biases, and what was done against them."),
        _("Who is affected by an answer did not choose the model."),
        (
            *("ethical considerations", "bias risks and limitations", "bias", "risks", "safety", "risks and biases"),
            *("ethical considerations and limitations", "ethics", "limitations and bias", "responsibility safety"),
            *("bias and risks", "responsible use"),
        ),
    ),
    OutlineSection(
        "caveats",
        _("Caveats and recommendations"),
        _("Known limits, what was not tested, and advice to users."),
        _("Knowing where it fails saves finding out."),
        (
            *("caveats and recommendations", "limitations", "caveats", "recommendations", "known limitations"),
            *("bias risks and limitations", "limitations and bias", "ethical considerations and limitations"),
            *("intended uses limitations", "known issues"),
        ),
    ),
)
FIELDS: Final = (
    OutlineField("license", _("Licence"), _("It decides whether one may use the model at all.")),
    OutlineField("language", _("Languages"), _("Nobody should find out by trying whether it understands them.")),
    OutlineField("datasets", _("Datasets, linked"), _("A linked dataset can be looked into.")),
    OutlineField("results", _("Results with a source"), _("A number without a source cannot be checked.")),
    OutlineField("emissions", _("Emissions or energy"), _("Training has a cost that the next one can avoid.")),
    OutlineField("citation", _("Citation"), _("It leads to the long account, and gives credit.")),
    OutlineField(
        "training", _("Training, step by step"), _("So that a reader can follow how the model came to be."), 6
    ),
)


@dataclass(frozen=True, slots=True)
class SectionState:
    """Whether a section of the outline is in the card; `words` is what counted."""

    section: OutlineSection
    heading: Heading | None
    words: int

    @property
    def is_there(self) -> bool:
        return self.heading is not None and self.words >= MIN_WORDS

    @property
    def points(self) -> int:
        return self.section.weight if self.is_there else 0


@dataclass(frozen=True, slots=True)
class FieldState:
    """How many of a field's points the card has; the training block earns one for each of its parts."""

    field: OutlineField
    points: int

    @property
    def is_there(self) -> bool:
        return self.points == self.field.weight


@dataclass(frozen=True, slots=True)
class Outline:
    """The whole measure; `points` of `most`."""

    sections: tuple[SectionState, ...]
    fields: tuple[FieldState, ...]

    @property
    def states(self) -> list[SectionState | FieldState]:
        return [*self.sections, *self.fields]

    @property
    def points(self) -> int:
        return sum(state.points for state in self.states)

    @property
    def most(self) -> int:
        return MOST_POINTS

    @property
    def missing(self) -> list[SectionState | FieldState]:
        return [state for state in self.states if not state.is_there]

    @property
    def is_complete(self) -> bool:
        return self.points == self.most


MOST_POINTS: Final = sum(section.weight for section in SECTIONS) + sum(field.weight for field in FIELDS)


def measure_outline(metadata: Mapping[str, Any], body: str, *, heading_anchors: str = "") -> Outline:
    """Measure a card. Pure, and never raises."""
    sections = markdown_sections(body, heading_anchors=heading_anchors or "card-")
    return Outline(
        sections=tuple(_section_state(section, sections) for section in SECTIONS),
        fields=tuple(_field_states(dict(metadata), sections)),
    )


def count_words(text: str) -> int:
    """Words that somebody wrote; placeholders, comments and headings of a template are none."""
    lines = [line for line in _COMMENT.sub(" ", text).splitlines() if not line.lstrip().startswith("#")]
    return len(_WORD.findall(_PLACEHOLDER.sub(" ", "\n".join(lines))))


def _section_state(section: OutlineSection, found: list[Section]) -> SectionState:
    """Of several headings that fit, the one that says most."""
    fitting = [each for each in found if plain_heading(each.heading.text) in section.headings]
    if not fitting:
        return SectionState(section, None, 0)
    words, best = max(((count_words(each.text), each) for each in fitting), key=lambda pair: pair[0])
    return SectionState(section, best.heading, words)


def _field_states(metadata: dict[str, Any], sections: list[Section]) -> list[FieldState]:
    said = describe_metadata(metadata)
    compute = metadata.get(TRAINING_FIELD)
    answers = describe_training(compute, [section.heading for section in sections])
    cites = any(plain_heading(section.heading.text) in {"citation", "citing", "cite"} for section in sections)
    there = {
        "license": said.license is not None,
        "language": bool(said.languages),
        "datasets": any(dataset.url for dataset in said.datasets),
        "results": bool(said.results) and all(result.source_name for result in said.results),
        "emissions": said.emissions is not None or _tells_emissions(metadata, sections),
        "citation": cites or any(tag.startswith(("arxiv:", "doi:")) for tag in said.tags),
    }
    return [
        FieldState(
            field,
            sum(answer.is_answered for answer in answers)
            if field.key == "training"
            else field.weight * there[field.key],
        )
        for field in FIELDS
    ]


def _tells_emissions(metadata: dict[str, Any], sections: list[Section]) -> bool:
    """Also an honest “not published” under training.compute, or a section of its own."""
    block = metadata.get(TRAINING_FIELD)
    compute = str(block.get("compute", "")).lower() if isinstance(block, dict) else ""
    if any(word in compute for word in ("emission", "energy", "co2")):
        return True
    headed = [
        each for each in sections if plain_heading(each.heading.text) in {"environmental impact", "carbon footprint"}
    ]
    return any(count_words(each.text) >= MIN_WORDS for each in headed)
