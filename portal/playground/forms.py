"""The prompt form: what somebody typed becomes a variant, texts and `SamplingParams`, or errors beside their fields."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from inference.sampling_params import MAX_NEW_TOKENS, MAX_SEED, MAX_TEMPERATURE, InvalidParameter, SamplingParams
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from portal.playground.queries import find_turn

PARAMETERS: Final = ("temperature", "top_p", "max_tokens", "seed")
# The form's element; the settings stand outside of it and name it.
COMPOSER_FORM_ID: Final = "composer"
_RANGE_MESSAGES: Final = {
    "min_value": _("At least %(limit_value)s."),
    "max_value": _("At most %(limit_value)s."),
    "invalid": _("Enter a number."),
}
_TOP_P_RANGE: Final = _("Above 0 and at most 1.")


class _VariantSelect(forms.Select):
    """Options carry their variant's default parameters, so that another choice can fill them in at once."""

    def __init__(self, variants: Iterable[Variant], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._defaults = {each.model_id: default_parameters(each) for each in variants}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"]["data-defaults"] = json.dumps(self._defaults.get(str(value), {}))
        return option


class PromptForm(forms.Form):
    """A prompt for a new conversation, or for the next turn of `conversation`.

    After `is_valid()`, `cleaned_data` has `variant` (a Variant), `parent` (a Generation or None), `prompt`,
    `system_prompt`, `request_key` and `params` (SamplingParams). A parameter left empty takes the variant's default.
    """

    use_required_attribute = False

    request_key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={"required": _("The form's key is missing. Reload the page and send again.")},
    )
    parent = forms.UUIDField(required=False, widget=forms.HiddenInput)
    prompt = forms.CharField(
        label=_("Prompt"), strip=False, widget=forms.Textarea, error_messages={"required": _("Write a prompt.")}
    )
    variant = forms.ChoiceField(
        label=_("Variant"), error_messages={"invalid_choice": _("This variant cannot run here. Choose another.")}
    )
    system_prompt = forms.CharField(
        label=_("System prompt"),
        required=False,
        strip=False,
        widget=forms.Textarea,
        help_text=_("Tells the model, before the first turn, what role to take and what to mind."),
    )
    temperature = forms.FloatField(
        label=_("Temperature"),
        required=False,
        min_value=0,
        max_value=MAX_TEMPERATURE,
        error_messages=_RANGE_MESSAGES,
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

    def __init__(
        self, *args: Any, variants: Sequence[Variant], conversation: Conversation | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._variants = {each.model_id: each for each in variants}
        self._conversation = conversation
        variant_field = self.fields["variant"]
        assert isinstance(variant_field, forms.ChoiceField)
        variant_field.widget = _VariantSelect(variants)
        variant_field.choices = _choices_by_card(variants)
        self._describe()

    def _describe(self) -> None:
        """Ranges, help and attributes that depend on the installation's limits."""
        most = max_tokens_allowed()
        self.fields["temperature"].help_text = gettext(
            "0 always takes the most probable token; more lets less probable ones through. 0 to %(most)s."
        ) % {"most": MAX_TEMPERATURE}
        self.fields["max_tokens"].help_text = gettext("The answer is cut after this many tokens. 1 to %(most)s.") % {
            "most": f"{most:,}"
        }
        self.fields["seed"].error_messages["max_value"] = gettext("At most %(most)s.") % {"most": f"{MAX_SEED:,}"}
        for name, step in (("temperature", "0.05"), ("top_p", "0.05"), ("max_tokens", "1")):
            self.fields[name].widget.attrs |= {"step": step, "autocomplete": "off"}
        self.fields["max_tokens"].widget.attrs["max"] = most
        self.fields["prompt"].widget.attrs |= {
            "rows": 3,
            "placeholder": gettext("Write a prompt…")
            if self._conversation is None
            else gettext("Write the next prompt…"),
            "autocomplete": "off",
        }
        self.fields["system_prompt"].widget.attrs |= {"rows": 3, "autocomplete": "off"}
        for name in ("request_key", "parent"):
            # Firefox would bring back a used key after a reload.
            self.fields[name].widget.attrs["autocomplete"] = "off"
        for name in ("variant", "system_prompt", *PARAMETERS):
            self.fields[name].widget.attrs["form"] = COMPOSER_FORM_ID

    def clean_prompt(self) -> str:
        return _with_plain_line_ends(self.cleaned_data["prompt"])

    def clean_system_prompt(self) -> str:
        text = _with_plain_line_ends(self.cleaned_data["system_prompt"])
        return text if text.strip() else ""

    def clean_variant(self) -> Variant:
        return self._variants[self.cleaned_data["variant"]]

    def clean_parent(self) -> Generation | None:
        parent_id: uuid.UUID | None = self.cleaned_data["parent"]
        if self._conversation is None:
            return None
        parent = find_turn(self._conversation, parent_id) if parent_id else None
        if parent is None:
            raise ValidationError(gettext("The turn to follow is not in this conversation. Reload the page."))
        return parent

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        variant: Variant | None = cleaned.get("variant")
        if variant is not None and not any(name in self.errors for name in PARAMETERS):
            given = {name: cleaned[name] for name in PARAMETERS if cleaned.get(name) is not None}
            try:
                cleaned["params"] = SamplingParams.from_mapping(default_parameters(variant) | given)
            except InvalidParameter as error:
                if error.field == "top_p":
                    # The one range with an open end, which Django's validators do not have.
                    self.add_error("top_p", str(_TOP_P_RANGE))
                elif error.field in self.fields:
                    self.add_error(error.field, str(self.fields[error.field].help_text))
                else:
                    self.add_error(None, str(error))
        return cleaned

    def add_service_errors(self, error: ValidationError) -> None:
        """Put what the service refused beside the fields that it named."""
        for field, errors in error.update_error_dict({}).items():
            self.add_error(field if field in self.fields else None, errors)

    @property
    def chosen_variant(self) -> Variant | None:
        """The variant that is shown as chosen, valid or not yet sent."""
        return self._variants.get(str(self["variant"].value()))

    @property
    def general_errors(self) -> list[str]:
        """What concerns no visible field."""
        hidden = [str(error) for field in self.hidden_fields() for error in field.errors]
        return [*map(str, self.non_field_errors()), *hidden]

    @property
    def settings_errors(self) -> list[forms.BoundField]:
        """The settings that were refused; on a narrow screen they are folded away."""
        return [self[name] for name in ("variant", "system_prompt", *PARAMETERS) if self[name].errors]


def max_tokens_allowed() -> int:
    return min(int(settings.MAX_OUTPUT_TOKENS), MAX_NEW_TOKENS)


def default_parameters(variant: Variant) -> dict[str, Any]:
    """The variant's defaults as one complete set, within this installation's limits."""
    defaults = SamplingParams.from_mapping(variant.defaults)
    return replace(defaults, max_tokens=min(defaults.max_tokens, max_tokens_allowed())).as_mapping()


def new_conversation_initial(variant: Variant | None, *, prompt: str = "") -> dict[str, Any]:
    """What the form shows before anything was sent."""
    initial: dict[str, Any] = {"request_key": uuid.uuid4(), "prompt": prompt[: settings.MAX_PROMPT_CHARACTERS]}
    if variant is not None:
        defaults = default_parameters(variant)
        initial |= {"variant": variant.model_id} | {name: defaults[name] for name in PARAMETERS}
    return initial


def next_turn_initial(last: Generation, *, runs_here: bool, instead: Variant | None) -> dict[str, Any]:
    """The form for the turn after `last`: its variant (or `instead`, when it runs here no more) and parameters.

    The seed is left to be drawn anew: the last turn's may have been drawn, and repeating it by accident would not show.
    """
    variant = last.variant if runs_here else instead
    params = {name: last.params.get(name) for name in PARAMETERS} | {"seed": None}
    return {
        "request_key": uuid.uuid4(),
        "parent": last.pk,
        "system_prompt": last.conversation.system_prompt,
        "variant": variant.model_id if variant is not None else "",
        **params,
    }


def _choices_by_card(variants: Sequence[Variant]) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for variant in variants:
        groups.setdefault(variant.card.title, []).append((variant.model_id, f"{variant.card.title} · {variant.slug}"))
    return list(groups.items())


def _with_plain_line_ends(text: str) -> str:
    # Browsers send CRLF; the model should read what was typed.
    return text.replace("\r\n", "\n")
