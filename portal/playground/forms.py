"""The prompt form: what somebody typed becomes a variant, texts and `SamplingParams`, or errors beside their fields."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import Variant
from portal.catalog.queries import default_variant
from portal.playground.models import Conversation, Generation, Kind
from portal.playground.parameter_fields import (
    MAIN_PARAMETERS,
    MORE_PARAMETERS,
    PARAMETERS,
    SCORE_PARAMETERS,
    SLIDERS,
    ParameterFields,
    parameters_as_typed,
)
from portal.playground.prompt_messages import Overflow
from portal.playground.queries import find_turn
from portal.playground.text_limits import text_errors
from portal.playground.variant_defaults import default_parameters, max_tokens_allowed

# The form's element; the settings stand outside of it and name it.
COMPOSER_FORM_ID: Final = "composer"


class _VariantSelect(forms.Select):
    """Options carry their variant's default parameters, so that another choice can fill them in at once."""

    def __init__(self, variants: Iterable[Variant], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._defaults = {each.model_id: parameters_as_typed(default_parameters(each)) for each in variants}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"]["data-defaults"] = json.dumps(self._defaults.get(str(value), {}))
        return option


@dataclass(frozen=True, slots=True)
class ShownParameter:
    """A parameter's field, its slider's (low, high, step) if it has one, and what its variant's default looks like."""

    field: forms.BoundField
    slider: tuple[str, ...]
    default: str

    @property
    def is_changed(self) -> bool:
        """Whether what stands there differs from the default; left empty, it is the default."""
        typed = str(self.field.value() if self.field.value() is not None else "").replace("\r\n", "\n").strip()
        return typed not in {"", self.default} and not _same_number(typed, self.default)


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


class PromptForm(ParameterFields):
    """A prompt for a new conversation, or for the next turn of `conversation`.

    After `is_valid()`, `cleaned_data` has `variant` (a Variant), `parent` (a Generation or None), `prompt`,
    `system_prompt`, `request_key` and `params` (SamplingParams). A parameter left empty takes the variant's default.
    """

    use_required_attribute = False

    request_key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={"required": _("The form's key is missing. Reload the page and send again.")},
    )
    kind = forms.ChoiceField(required=False, choices=Kind.choices, widget=forms.HiddenInput)
    # The turn whose prompt is written anew; what is sent then stands beside it.
    edits = forms.UUIDField(required=False, widget=forms.HiddenInput)
    parent = forms.UUIDField(required=False, widget=forms.HiddenInput)
    # The button that sends may say what becomes of a prompt that does not fit.
    fit = forms.ChoiceField(required=False, choices=[(each.value, each.value) for each in Overflow])
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
        self.describe_parameters()
        self.fields["prompt"].widget.attrs |= {
            "rows": 3,
            "placeholder": self._placeholder(),
            "autocomplete": "off",
        }
        self.fields["system_prompt"].widget.attrs |= {"rows": 3, "autocomplete": "off"}
        for name in ("request_key", "kind", "edits", "parent"):
            # Firefox would bring back a used key after a reload.
            self.fields[name].widget.attrs["autocomplete"] = "off"
        for name in ("variant", "system_prompt", *PARAMETERS):
            self.fields[name].widget.attrs["form"] = COMPOSER_FORM_ID

    def _placeholder(self) -> str:
        if self.shown_kind != Kind.CHAT:
            return gettext("Paste or write a text…")
        return gettext("Write a prompt…") if self._conversation is None else gettext("Write the next prompt…")

    def clean_prompt(self) -> str:
        return self._text("prompt", settings.MAX_PROMPT_CHARACTERS)

    def clean_system_prompt(self) -> str:
        text = self._text("system_prompt", settings.MAX_SYSTEM_PROMPT_CHARACTERS)
        return text if text.strip() else ""

    def _text(self, name: str, limit: int) -> str:
        text = _with_plain_line_ends(self.cleaned_data[name])
        # The service refuses it too, but only once everything else is valid.
        if errors := text_errors(name, text, limit):
            raise ValidationError(errors[name])
        return text

    def clean_variant(self) -> Variant:
        return self._variants[self.cleaned_data["variant"]]

    def clean_kind(self) -> Kind:
        return Kind(self.cleaned_data["kind"] or Kind.CHAT)

    def clean_edits(self) -> Generation | None:
        edited_id: uuid.UUID | None = self.cleaned_data["edits"]
        if edited_id is None or self._conversation is None:
            return None
        edited = find_turn(self._conversation, edited_id)
        if edited is None:
            raise ValidationError(gettext("The prompt to change is not in this conversation. Reload the page."))
        return edited

    def clean_fit(self) -> Overflow:
        return Overflow(self.cleaned_data["fit"] or Overflow.REFUSE)

    def clean_parent(self) -> Generation | None:
        parent_id: uuid.UUID | None = self.cleaned_data["parent"]
        if self._conversation is None or "edits" in self.errors:
            return None
        edited: Generation | None = self.cleaned_data.get("edits")
        if edited is not None:
            return edited.parent
        parent = find_turn(self._conversation, parent_id) if parent_id else None
        if parent is None and parent_id is None and not self._conversation.generations.exists():
            # It was begun without a prompt.
            return None
        if parent is None:
            raise ValidationError(gettext("The turn to follow is not in this conversation. Reload the page."))
        return parent

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["params"] = self.sampling_params(cleaned.get("variant"))
        return cleaned

    # Whether the service refused the prompt for that, so that the page offers what to do.
    is_too_long_for_context = False

    @property
    def shown_kind(self) -> str:
        """What is done with the prompt, as the page says it."""
        return str(self["kind"].value() or Kind.CHAT)

    def add_service_errors(self, error: ValidationError) -> None:
        """Put what the service refused beside the fields that it named."""
        self.is_too_long_for_context = "context" in error.update_error_dict({})
        for field, errors in error.update_error_dict({}).items():
            self.add_error(field if field in self.fields else None, errors)

    @property
    def chosen_variant(self) -> Variant | None:
        """The variant that is shown as chosen, valid or not yet sent."""
        return self._variants.get(str(self["variant"].value()))

    @property
    def main_parameters(self) -> list[ShownParameter]:
        return self._shown(SCORE_PARAMETERS if self.shown_kind == Kind.SCORE else MAIN_PARAMETERS)

    @property
    def more_parameters(self) -> list[ShownParameter]:
        return self._shown(() if self.shown_kind == Kind.SCORE else MORE_PARAMETERS)

    @property
    def changed_more(self) -> int:
        """How many of the folded parameters differ from the variant's defaults, or were refused."""
        return sum(each.is_changed or bool(each.field.errors) for each in self.more_parameters)

    def _shown(self, names: Sequence[str]) -> list[ShownParameter]:
        variant = self.chosen_variant
        defaults = parameters_as_typed(default_parameters(variant)) if variant is not None else {}
        sliders = SLIDERS | {"max_tokens": ("1", str(max_tokens_allowed()), "1")}
        return [ShownParameter(self[name], sliders.get(name, ()), defaults.get(name, "")) for name in names]

    @property
    def general_errors(self) -> list[str]:
        """What concerns no visible field."""
        hidden = [str(error) for field in self.hidden_fields() for error in field.errors]
        return [*map(str, self.non_field_errors()), *hidden]

    @property
    def settings_errors(self) -> list[forms.BoundField]:
        """The settings that were refused; on a narrow screen they are folded away."""
        return [self[name] for name in ("variant", "system_prompt", *PARAMETERS) if self[name].errors]


def new_conversation_initial(
    variant: Variant | None, *, prompt: str = "", system_prompt: str = "", kind: str = ""
) -> dict[str, Any]:
    """What the form shows before anything was sent; weights without a chat template are not asked to chat."""
    usual = Kind.COMPLETION if variant is not None and variant.has_no_chat_template else Kind.CHAT
    initial: dict[str, Any] = {
        "request_key": uuid.uuid4(),
        "kind": kind if kind in Kind.values else usual,
        "prompt": prompt[: settings.MAX_PROMPT_CHARACTERS],
        "system_prompt": system_prompt[: settings.MAX_SYSTEM_PROMPT_CHARACTERS],
    }
    if variant is not None:
        defaults = default_parameters(variant)
        initial |= {"variant": variant.model_id} | parameters_as_typed(defaults)
    return initial


def next_turn_form(last: Generation, variants: Sequence[Variant]) -> PromptForm:
    """The form for the turn after `last`, with its settings, or the default variant where its own runs no more."""
    runs_here = any(each.pk == last.variant_id for each in variants)
    initial = next_turn_initial(last, runs_here=runs_here, instead=default_variant())
    return PromptForm(initial=initial, variants=variants, conversation=last.conversation)


def next_turn_initial(last: Generation, *, runs_here: bool, instead: Variant | None) -> dict[str, Any]:
    """The form for the turn after `last`: its variant (or `instead`, when it runs here no more) and parameters.

    The seed is left to be drawn anew: the last turn's may have been drawn, and repeating it by accident would not show.
    """
    variant = last.variant if runs_here else instead
    params = parameters_as_typed(last.params) | {"seed": ""}
    return {
        "request_key": uuid.uuid4(),
        "kind": last.kind,
        "parent": last.pk,
        # A text is continued from where it ends.
        "prompt": last.prompt + last.output if last.kind == Kind.COMPLETION else "",
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
