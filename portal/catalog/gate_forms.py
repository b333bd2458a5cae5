"""The forms at a card's gate: what its extra_gated_fields ask, a maintainer's answer, and the gate itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.catalog.gate_models import MAX_REASON_CHARACTERS
from portal.catalog.gate_terms import GateQuestion, GateTerms
from portal.catalog.models import Gate


def _field(question: GateQuestion) -> forms.Field:
    """A question's form field; every question has to be answered."""
    match question.kind:
        case "checkbox":
            return forms.BooleanField(label=question.name, error_messages={"required": _("This has to be agreed to.")})
        case "date_picker":
            return forms.DateField(label=question.name, widget=forms.DateInput(attrs={"type": "date"}))
        case "select":
            return forms.ChoiceField(label=question.name, choices=[("", _("Choose one")), *question.options])
        case "country":
            autocomplete = {"autocomplete": "country-name"}
            return forms.CharField(label=question.name, max_length=100, widget=forms.TextInput(attrs=autocomplete))
        case _:
            return forms.CharField(label=question.name, max_length=500)


class AccessForm(forms.Form):
    """A card's questions. `answers()` gives what was said, by question, in the words that the person read."""

    use_required_attribute = False

    def __init__(self, *args: Any, terms: GateTerms, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._questions = {f"question_{number}": question for number, question in enumerate(terms.questions)}
        for name, question in self._questions.items():
            self.fields[name] = _field(question)
        if terms.eu_disallowed:
            self.fields["outside_eu"] = forms.BooleanField(
                label=_("I do not live in the European Union, and the organisation that I act for is not based there."),
                error_messages={"required": _("The licence gives nothing to people in the European Union.")},
            )

    def answers(self) -> dict[str, Any]:
        said = {
            question.name: _in_words(question, self.cleaned_data[name]) for name, question in self._questions.items()
        }
        if "outside_eu" in self.cleaned_data:
            said[str(self.fields["outside_eu"].label)] = True
        return said


def _in_words(question: GateQuestion, value: Any) -> bool | str:
    """An agreement stays one; of a select's options it is the label that somebody read and chose."""
    return (
        value
        if isinstance(value, bool)
        else next((label for option, label in question.options if option == str(value)), str(value))
    )


class AnswerForm(forms.Form):
    """What a maintainer does with a request."""

    action = forms.ChoiceField(choices=[(name, name) for name in ("grant", "decline", "revoke")])
    reason = forms.CharField(required=False, max_length=MAX_REASON_CHARACTERS)


class GateForm(forms.Form):
    """Who may run the model."""

    gate = forms.ChoiceField(label=_("Who may run the model"), choices=Gate.choices, widget=forms.RadioSelect)


class GrantForm(forms.Form):
    """Somebody to let in without a request."""

    username = forms.CharField(label=_("Username"), max_length=150)

    def clean_username(self) -> User:
        found = User.objects.filter(username__iexact=self.cleaned_data["username"].strip(), is_active=True).first()
        if found is None:
            raise forms.ValidationError(_("Nobody here has this username."))
        return found
