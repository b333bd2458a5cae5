"""Every sampling parameter as a form field with its range in one sentence, and back from what was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from inference.sampling_params import (
    MAX_LOGIT_BIAS_ENTRIES,
    MAX_SEED,
    MAX_STOP_STRING_CHARACTERS,
    MAX_STOP_STRINGS,
    MAX_TEMPERATURE,
    MAX_TOP_LOGPROBS,
    InvalidParameter,
    SamplingParams,
    find_invalid,
)
from portal.catalog.models import Variant
from portal.playground.variant_defaults import default_parameters, max_tokens_allowed

# In the order of the page; the first four are always in view.
MAIN_PARAMETERS: Final = ("temperature", "top_p", "max_tokens", "seed")
MORE_PARAMETERS: Final = (
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "min_tokens",
    "stop",
    "logit_bias",
    "top_logprobs",
)
# A text that is scored is not sampled: this is all that can be set.
SCORE_PARAMETERS: Final = ("top_logprobs",)
PARAMETERS: Final = (*MAIN_PARAMETERS, *MORE_PARAMETERS)
# What a range beside the number covers; the number itself may go to its limits.
SLIDERS: Final[dict[str, tuple[str, str, str]]] = {
    "temperature": ("0", str(MAX_TEMPERATURE), "0.05"),
    "top_p": ("0.05", "1", "0.05"),
    "min_p": ("0", "1", "0.01"),
    "repetition_penalty": ("0.05", "2", "0.05"),
    "presence_penalty": ("-2", "2", "0.1"),
    "frequency_penalty": ("-2", "2", "0.1"),
    "top_logprobs": ("0", str(MAX_TOP_LOGPROBS), "1"),
}
_RANGE_MESSAGES: Final = {
    "min_value": _("At least %(limit_value)s."),
    "max_value": _("At most %(limit_value)s."),
    "invalid": _("Enter a number."),
}
_TOP_P_RANGE: Final = _("Above 0 and at most 1.")
_PENALTY_RANGE: Final = _("Above 0 and at most 2.")
_BIAS_LINE: Final = re.compile(r"(?P<id>[0-9]{1,10})\s*:\s*(?P<bias>[-+]?[0-9]{1,9}(?:\.[0-9]{0,9})?)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


class ParameterFields(forms.Form):
    """The parameters of a run. A field left empty takes the variant's default."""

    temperature = forms.FloatField(
        label=_("Temperature"), required=False, min_value=0, max_value=MAX_TEMPERATURE, error_messages=_RANGE_MESSAGES
    )
    top_p = forms.FloatField(
        label=_("Top-p"),
        required=False,
        min_value=0,
        max_value=1,
        help_text=_(
            "Samples only from the most probable tokens whose probabilities add up to this. Above 0 and at most 1."
        ),
        error_messages={**_RANGE_MESSAGES, "min_value": _TOP_P_RANGE, "max_value": _TOP_P_RANGE},
    )
    max_tokens = forms.IntegerField(label=_("Max tokens"), required=False, min_value=1, error_messages=_RANGE_MESSAGES)
    seed = forms.IntegerField(
        label=_("Seed"),
        required=False,
        min_value=0,
        max_value=MAX_SEED,
        help_text=_("The same seed repeats the same choices. 0 to 2⁶³-1; empty draws one, shown with the answer."),
        error_messages=_RANGE_MESSAGES,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    top_k = forms.IntegerField(
        label=_("Top-k"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        help_text=_("Samples only from this many most probable tokens. 0 to 1,000,000; 0 keeps all."),
        error_messages=_RANGE_MESSAGES,
    )
    min_p = forms.FloatField(
        label=_("Min-p"),
        required=False,
        min_value=0,
        max_value=1,
        help_text=_("Leaves out tokens less probable than this share of the most probable one. 0 to 1; 0 is off."),
        error_messages=_RANGE_MESSAGES,
    )
    repetition_penalty = forms.FloatField(
        label=_("Repetition penalty"),
        required=False,
        min_value=0,
        max_value=2,
        help_text=_("Makes tokens of prompt and answer less likely to come again. Above 0 and at most 2; 1 is off."),
        error_messages={**_RANGE_MESSAGES, "min_value": _PENALTY_RANGE, "max_value": _PENALTY_RANGE},
    )
    presence_penalty = forms.FloatField(
        label=_("Presence penalty"),
        required=False,
        min_value=-2,
        max_value=2,
        help_text=_("Lowers every token that the answer has used already, once. -2 to 2; 0 is off."),
        error_messages=_RANGE_MESSAGES,
    )
    frequency_penalty = forms.FloatField(
        label=_("Frequency penalty"),
        required=False,
        min_value=-2,
        max_value=2,
        help_text=_("Lowers a token for each time that the answer has used it. -2 to 2; 0 is off."),
        error_messages=_RANGE_MESSAGES,
    )
    min_tokens = forms.IntegerField(
        label=_("Min tokens"),
        required=False,
        min_value=0,
        help_text=_("The answer cannot end before this many tokens. 0 to max tokens."),
        error_messages=_RANGE_MESSAGES,
    )
    stop = forms.CharField(
        label=_("Stop texts"),
        required=False,
        strip=False,
        widget=forms.Textarea,
        help_text=_(
            "The answer ends before one of these, which is not shown. One a line, at most %(count)d, each of up to "
            "%(length)d characters; \\n is a line break."
        ),
    )
    logit_bias = forms.CharField(
        label=_("Logit bias"),
        required=False,
        widget=forms.Textarea,
        help_text=_("Raises or lowers tokens by id: “id: bias”, one a line, each -100 to 100, at most %(count)d."),
    )
    top_logprobs = forms.IntegerField(
        label=_("Alternatives kept"),
        required=False,
        min_value=0,
        max_value=MAX_TOP_LOGPROBS,
        help_text=_("How many candidates each token keeps, to look at inside the run. 0 to 20."),
        error_messages=_RANGE_MESSAGES,
    )

    def describe_parameters(self) -> None:
        """Ranges, help and attributes that depend on the installation's limits."""
        most = max_tokens_allowed()
        self.fields["temperature"].help_text = gettext(
            "0 always takes the most probable token; more lets less probable ones through. 0 to %(most)s."
        ) % {"most": MAX_TEMPERATURE}
        self.fields["max_tokens"].help_text = gettext("The answer is cut after this many tokens. 1 to %(most)s.") % {
            "most": f"{most:,}"
        }
        self.fields["seed"].error_messages["max_value"] = gettext("At most %(most)s.") % {"most": f"{MAX_SEED:,}"}
        self.fields["stop"].help_text = str(self.fields["stop"].help_text) % {
            "count": MAX_STOP_STRINGS,
            "length": MAX_STOP_STRING_CHARACTERS,
        }
        self.fields["logit_bias"].help_text = str(self.fields["logit_bias"].help_text) % {
            "count": MAX_LOGIT_BIAS_ENTRIES
        }
        for name, (_low, _high, step) in SLIDERS.items():
            self.fields[name].widget.attrs["step"] = step
        for name in PARAMETERS:
            self.fields[name].widget.attrs["autocomplete"] = "off"
        for name in ("stop", "logit_bias"):
            self.fields[name].widget.attrs |= {"rows": 2, "spellcheck": "false"}
        self.fields["max_tokens"].widget.attrs |= {"max": most, "step": "1"}

    def clean_stop(self) -> list[str] | None:
        return stop_from_lines(self.cleaned_data["stop"])

    def clean_logit_bias(self) -> dict[str, float] | None:
        return _bias_from_lines(self.cleaned_data["logit_bias"])

    def sampling_params(self, variant: Variant | None) -> SamplingParams | None:
        """What the fields say, the rest from the variant. None when something was refused, here or before, which is
        then said beside each field that is wrong; and without a variant."""
        given = {name: self.cleaned_data[name] for name in PARAMETERS if self.cleaned_data.get(name) is not None}
        values = (default_parameters(variant) if variant is not None else {}) | given
        # The default says nothing about what was meant where another value was typed.
        values = {name: value for name, value in values.items() if name not in self.errors}
        for error in find_invalid(values, max_tokens_allowed()):
            self._blame(error)
        if variant is None or any(name in self.errors for name in PARAMETERS):
            return None
        return SamplingParams.from_mapping(values)

    def _blame(self, error: InvalidParameter) -> None:
        # The two ranges with an open end, which Django's validators do not have.
        open_ranges = {"top_p": _TOP_P_RANGE, "repetition_penalty": _PENALTY_RANGE}
        if error.field in open_ranges:
            self.add_error(error.field, str(open_ranges[error.field]))
        elif error.field in self.fields:
            self.add_error(error.field, f"{error.limit[:1].upper()}{error.limit[1:]}.")
        else:
            self.add_error(None, str(error))


def parameters_as_typed(params: Mapping[str, Any]) -> dict[str, str]:
    """`SamplingParams.as_mapping()` as its form shows it."""
    typed = {name: "" if params.get(name) is None else str(params[name]) for name in PARAMETERS}
    typed["stop"] = stop_as_lines(params.get("stop") or ())
    bias = params.get("logit_bias") or {}
    typed["logit_bias"] = "\n".join(f"{token_id}: {value:g}" for token_id, value in bias.items())
    return typed


def stop_as_lines(texts: Any) -> str:
    """One stop text a line."""
    marks = {value: f"\\{name}" for name, value in _ESCAPES.items()}
    return "\n".join("".join(marks.get(character, character) for character in text) for text in texts)


def stop_from_lines(lines: str) -> list[str] | None:
    """The reverse; None when nothing was typed."""
    texts = [_unescaped(line) for line in lines.replace("\r\n", "\n").split("\n") if line]
    return texts or None


def _unescaped(line: str) -> str:
    characters: list[str] = []
    rest = iter(line)
    for character in rest:
        if character != "\\":
            characters.append(character)
            continue
        name = next(rest, "")
        characters.append(_ESCAPES.get(name, f"\\{name}"))
    return "".join(characters)


def _bias_from_lines(lines: str) -> dict[str, float] | None:
    biases: dict[str, float] = {}
    for line in filter(None, (each.strip() for each in lines.splitlines())):
        typed = _BIAS_LINE.fullmatch(line)
        if typed is None:
            raise ValidationError(gettext("“%s” is not “token id: number”.") % line[:80])
        biases[str(int(typed["id"]))] = float(typed["bias"])
    return biases or None
