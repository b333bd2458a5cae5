"""What a person chooses: the filters of an export, and a snapshot's tables, title and terms."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.models import Salting
from portal.exports.tables import TABLES
from portal.feedback.models import ReviewState

FILTERS: Final = ("card", "variant", "since", "until", "language", "campaign", "licence")


class CriteriaForm(forms.Form):
    """The filters that every kind of table may have, as a person types them."""

    card = forms.CharField(label=_("Card"), required=False, max_length=200, help_text=_("owner/name"))
    variant = forms.CharField(label=_("Variant"), required=False, max_length=300, help_text=_("owner/name:variant"))
    since = forms.CharField(label=_("Since"), required=False, max_length=40, help_text=_("A date, such as 2026-01-31."))
    until = forms.CharField(label=_("Until, without it"), required=False, max_length=40)
    language = forms.CharField(label=_("Language"), required=False, max_length=12, help_text=_("A code such as en."))
    campaign = forms.CharField(
        label=_("Campaign"), required=False, max_length=80, help_text=_("Its name in addresses.")
    )
    licence = forms.CharField(label=_("Licence"), required=False, max_length=60)
    review_state = forms.MultipleChoiceField(
        label=_("State of review"),
        required=False,
        choices=ReviewState.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all, and in training sets all but rejected ones, duplicates and spam."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        texts = {name: str(cleaned[name]).strip() for name in FILTERS if cleaned.get(name)}
        if states := cleaned.get("review_state"):
            texts["review_state"] = ",".join(states)
        try:
            cleaned["criteria"] = Criteria.from_texts({name: text for name, text in texts.items() if text})
        except InvalidCriterion as error:
            self.add_error(error.parameter if error.parameter in self.fields else None, error.limit)
        return cleaned


class SnapshotForm(CriteriaForm):
    """A snapshot to make."""

    title = forms.CharField(label=_("Title"), max_length=120)
    note = forms.CharField(
        label=_("Note"), required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What it is for; it stands in the dataset card."),
    )  # fmt: skip
    tables = forms.MultipleChoiceField(
        label=_("Tables"),
        choices=[(name, table.title) for name, table in TABLES.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    salting = forms.ChoiceField(
        label=_("Pseudonyms"), choices=Salting.choices, initial=Salting.OWN, widget=forms.RadioSelect
    )
    redacts = forms.BooleanField(
        label=_("Replace what looks like personal data"),
        required=False,
        help_text=_("Mail addresses, telephone and account numbers, keys and the like, by their kind in brackets."),
    )
    field_order = ("title", "note", "tables", "salting", "redacts")
