"""A run's parameters and figures in words, for its record's page: each with the name that files and the API give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.playground.parameter_fields import PARAMETERS, ParameterFields, parameters_as_typed

_FIGURES: Final[dict[str, str | Promise]] = {
    "prompt_tokens": _("Tokens in the prompt"),
    "completion_tokens": _("Tokens in the answer"),
    "reasoning_tokens": _("Of the answer, thinking"),
    "cached_tokens": _("Of the prompt, computed before"),
    "is_counted": _("Who counted the tokens"),
    "queue_s": _("Waiting for a worker"),
    "engine_wait_s": _("Waiting in the engine"),
    "prefill_s": _("Reading the prompt"),
    "first_token_s": _("From sending to the first token"),
    "decode_s": _("Writing the answer"),
}


@dataclass(frozen=True, slots=True)
class RecordFact:
    """One line of a record: what it is called for people and in files, and its value in words. `label` may be empty."""

    label: str
    name: str
    value: str


def parameter_facts(params: Mapping[str, Any]) -> list[RecordFact]:
    """In the order of the settings; a name that the settings do not have comes behind, as it is."""
    typed = parameters_as_typed(params)
    known = [
        RecordFact(str(ParameterFields.base_fields[name].label), name, typed[name])
        for name in PARAMETERS
        if name in params
    ]
    return known + [RecordFact("", name, str(value)) for name, value in params.items() if name not in PARAMETERS]


def figure_facts(usage: Mapping[str, Any], timings: Mapping[str, Any]) -> list[RecordFact]:
    """Token counts and times, in the order that they have in `_FIGURES`; others behind them, as they are."""
    figures = {**usage, **timings}
    known = [
        RecordFact(str(label), name, _worded(name, figures[name]))
        for name, label in _FIGURES.items()
        if name in figures
    ]
    return known + [RecordFact("", name, str(value)) for name, value in figures.items() if name not in _FIGURES]


def _worded(name: str, value: Any) -> str:
    if name == "is_counted":
        return gettext("Steelyard, from what arrived") if value else gettext("the engine that ran it")
    if name.endswith("_s"):
        return gettext("%s s") % number_format(value)
    return number_format(value, force_grouping=True)
