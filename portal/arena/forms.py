"""What people type and choose: prompts, contenders with their parameters, verdicts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.accounts.limits import rate_in_words
from portal.arena.models import MAX_CONTENDERS, Outcome, Pool
from portal.arena.services import Entry
from portal.catalog.models import Variant
from portal.playground.parameter_fields import (
    MAIN_PARAMETERS,
    MORE_PARAMETERS,
    PARAMETERS,
    ParameterFields,
    parameters_as_typed,
)
from portal.playground.variant_defaults import default_parameters

MIN_CONTENDERS: Final = 2
# Why an answer is better; stored with the vote by these keys.
REASONS: Final = (
    ("correct", _("More correct")),
    ("complete", _("More complete")),
    ("concise", _("Shorter and to the point")),
    ("style", _("Better written")),
    ("instructions", _("Follows the instructions")),
    ("safe", _("Less harmful")),
)


class PromptForm(forms.Form):
    """A prompt for all contenders, and the key that makes sending it twice harmless."""

    use_required_attribute = False

    request_key = forms.UUIDField(
        widget=forms.HiddenInput(attrs={"autocomplete": "off"}),
        error_messages={"required": _("The form's key is missing. Reload the page and send again.")},
    )
    prompt = forms.CharField(
        label=_("Prompt"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        error_messages={"required": _("Write a prompt.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("request_key", uuid.uuid4())

    def clean_prompt(self) -> str:
        # Browsers send CRLF; the model should read what was typed.
        prompt: str = self.cleaned_data["prompt"].replace("\r\n", "\n")
        return prompt

    def add_service_errors(self, error: ValidationError) -> None:
        """Put what the service refused beside the fields that it named."""
        for field, errors in error.update_error_dict({}).items():
            self.add_error(field if field in self.fields else None, errors)


class BattleForm(PromptForm):
    """The first prompt of a battle, and the pool that its two variants are drawn from."""

    pool = forms.ChoiceField(label=_("Who meets whom"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, pools: Sequence[Pool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pools = {pool.slug: pool for pool in pools}
        field = self.fields["pool"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(pool.slug, f"{pool.title}: {pool.summary}") for pool in pools]
        field.initial = pools[0].slug if pools else None
        if len(pools) == 1:
            field.widget = forms.HiddenInput()

    def clean_pool(self) -> Pool:
        return self._pools[self.cleaned_data["pool"]]


class SideBySideForm(PromptForm):
    """The first prompt and the system prompt of a comparison; its columns are ContenderForms."""

    system_prompt = forms.CharField(
        label=_("System prompt"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
        help_text=_("Read by all of them before the first turn."),
    )

    def clean_system_prompt(self) -> str:
        text: str = self.cleaned_data["system_prompt"].replace("\r\n", "\n")
        return text if text.strip() else ""


class ContenderForm(ParameterFields):
    """One column: a variant and its parameters. What is left empty takes the variant's default."""

    use_required_attribute = False

    variant = forms.ChoiceField(
        label=_("Variant"), error_messages={"invalid_choice": _("This variant cannot run here. Choose another.")}
    )

    def __init__(self, *args: Any, variants: Sequence[Variant], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._variants = {each.model_id: each for each in variants}
        field = self.fields["variant"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.model_id, f"{each.card.title} · {each.slug}") for each in variants]
        self.describe_parameters()
        chosen = self._variants.get(str(self["variant"].value()))
        defaults = parameters_as_typed(default_parameters(chosen)) if chosen is not None else {}
        for name in PARAMETERS:
            placeholder = gettext("drawn") if name == "seed" else defaults.get(name, "")
            self.fields[name].widget.attrs |= {"placeholder": placeholder, "data-compared": name}

    @property
    def letter(self) -> str:
        """The column's name, by its prefix c0 to c3."""
        return "ABCD"[int((self.prefix or "c0")[1:])]

    @property
    def main_parameters(self) -> list[forms.BoundField]:
        return [self[name] for name in MAIN_PARAMETERS]

    @property
    def more_parameters(self) -> list[forms.BoundField]:
        return [self[name] for name in MORE_PARAMETERS]

    @property
    def has_more(self) -> bool:
        """Whether something stands in the folded parameters, or was refused there."""
        return any(field.value() or field.errors for field in self.more_parameters)

    def clean_variant(self) -> Variant:
        return self._variants[self.cleaned_data["variant"]]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        variant = cleaned.get("variant")
        params = self.sampling_params(variant)
        if variant is not None and params is not None:
            cleaned["entry"] = Entry(variant, params)
        return cleaned


def contender_forms(data: Mapping[str, Any], variants: Sequence[Variant], count: int) -> list[ContenderForm]:
    """The columns as they were sent."""
    return [ContenderForm(data, prefix=f"c{index}", variants=variants) for index in range(count)]


def contender_initials(query: Mapping[str, Any], variants: Sequence[Variant], count: int) -> list[ContenderForm]:
    """The columns as an address describes them; where it says nothing, the variants in turn."""
    forms_of_columns = []
    for index in range(count):
        prefix = f"c{index}"
        initial = {
            name: query[f"{prefix}-{name}"] for name in ("variant", *PARAMETERS) if query.get(f"{prefix}-{name}")
        }
        if variants:
            initial.setdefault("variant", variants[index % len(variants)].model_id)
        forms_of_columns.append(ContenderForm(initial=initial, prefix=prefix, variants=variants))
    return forms_of_columns


def column_count(query: Mapping[str, Any]) -> int:
    """How many columns an address or a form asks for, two to four."""
    text = str(query.get("columns", ""))
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else MIN_CONTENDERS
    return max(MIN_CONTENDERS, min(MAX_CONTENDERS, count))


class BattleVoteForm(forms.Form):
    """A, B, tie or both bad."""

    outcome = forms.ChoiceField(choices=Outcome.choices)


class SideBySideVoteForm(forms.Form):
    """The best answer by its letter, or that none is better; and why."""

    turn = forms.IntegerField(min_value=1, max_value=1000)
    verdict = forms.CharField(max_length=10)
    reasons = forms.MultipleChoiceField(choices=REASONS, required=False)

    def clean_verdict(self) -> int | Outcome:
        verdict: str = self.cleaned_data["verdict"]
        if verdict in {Outcome.TIE, Outcome.BOTH_BAD}:
            return Outcome(verdict)
        if len(verdict) != 1 or verdict not in "abcd":
            raise ValidationError(gettext("Choose one of the answers."))
        return "abcd".index(verdict)


def limit_words() -> str:
    """What happens at the limit, said beforehand."""
    words: str = gettext("At most, for each person: battles %(battles)s, votes %(votes)s.") % {
        "battles": rate_in_words(settings.BATTLE_RATE),
        "votes": rate_in_words(settings.VOTE_RATE),
    }
    return words
