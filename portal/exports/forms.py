"""What a person chooses: the filters of an export, and a snapshot's tables, title and terms."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import PARAMETERS, Criteria, InvalidCriterion
from portal.exports.formats import FORMATS
from portal.exports.models import Salting
from portal.exports.snapshot_models import MAX_NOTE_CHARACTERS, MAX_TITLE_CHARACTERS
from portal.exports.tables import TABLES
from portal.feedback.answer_quality import DOWN, UP
from portal.feedback.models import Questionnaire, ReviewState
from portal.reviews.services.verdicts import LABELS

# One selection serves tables of several kinds.
SNAPSHOT_FILTERS: Final = frozenset(PARAMETERS) - {"thumb", "rating", "rating_min", "rating_max"}
_ANY: Final = [("", _("any"))]
# The states are named for the contributor; here somebody else reads them.
_STATES_OF_OTHERS: Final = {
    ReviewState.NEEDS_INFORMATION: _("Needs information from the contributor"),
    ReviewState.ESCALATED: _("Left to a maintainer"),
}


def _questionnaires() -> list[tuple[str, Any]]:
    """Published questionnaires by name, each once whatever its version."""
    current = Questionnaire.objects.filter(is_current=True).order_by("slug").values_list("slug", "title")
    return [*_ANY, *((slug, f"{title} ({slug})") for slug, title in current)]


class Checkboxes(forms.CheckboxSelectMultiple):
    """Takes several values in one parameter as well, as the API's addresses have them."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        values = super().value_from_datadict(data, files, name)
        return [each for value in values or () for each in value.split(",") if each]


class CriteriaForm(forms.Form):
    """The filters of exports, as a person chooses them; `filters` are those that have a meaning here."""

    card = forms.CharField(label=_("Card"), required=False, max_length=200, help_text=_("owner/name"))
    variant = forms.CharField(label=_("Variant"), required=False, max_length=300, help_text=_("owner/name:variant"))
    since = forms.CharField(label=_("Since"), required=False, max_length=40, help_text=_("A date, such as 2026-01-31."))
    until = forms.CharField(
        label=_("Until"), required=False, max_length=40, help_text=_("A date; that day is not part of it any more.")
    )
    questionnaire = forms.ChoiceField(
        label=_("Questionnaire"),
        required=False,
        choices=_questionnaires,
        help_text=_("Needed for the table with a column per question; others then hold what answers it alone."),
    )
    thumb = forms.ChoiceField(label=_("Thumb"), required=False, choices=[*_ANY, (UP, _("up")), (DOWN, _("down"))])
    rating = forms.IntegerField(
        label=_("Helpfulness"), required=False, help_text=_("From 1 to 5; or give bounds instead.")
    )
    rating_min = forms.IntegerField(label=_("Helpfulness at least"), required=False)
    rating_max = forms.IntegerField(label=_("Helpfulness at most"), required=False)
    language = forms.CharField(label=_("Language"), required=False, max_length=12, help_text=_("A code such as en."))
    campaign = forms.CharField(
        label=_("Campaign"), required=False, max_length=80, help_text=_("Its name in addresses.")
    )
    licence = forms.CharField(
        label=_("Licence"), required=False, max_length=60, help_text=_("An SPDX identifier such as CC-BY-4.0.")
    )
    label = forms.ChoiceField(
        label=_("Reviewers' label"), required=False, choices=[*_ANY, *((name, name) for name in LABELS)]
    )
    agreement_min = forms.CharField(
        label=_("Reviewers' agreement at least"),
        required=False,
        max_length=6,
        help_text=_("From 0 to 1: the share of independent reviewers, two or more, whose verdict became the outcome."),
    )
    review_state = forms.MultipleChoiceField(
        label=_("State of review"),
        required=False,
        choices=[(state.value, _STATES_OF_OTHERS.get(state, state.label)) for state in ReviewState],
        widget=Checkboxes,
        help_text=_("None chosen: all, and in training sets all but rejected ones, duplicates and spam."),
    )

    def __init__(self, *args: Any, filters: Collection[str] = PARAMETERS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in PARAMETERS:
            if name not in filters:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        chosen = {name: cleaned.get(name) for name in PARAMETERS if name in self.fields}
        texts = {
            name: ",".join(value) if isinstance(value, list) else str(value).strip()
            for name, value in chosen.items()
            if value not in (None, "", [])
        }
        try:
            cleaned["criteria"] = Criteria.from_texts({name: text for name, text in texts.items() if text})
        except InvalidCriterion as error:
            self.add_error(error.parameter if error.parameter in self.fields else None, error.limit)
        return cleaned


class TableForm(CriteriaForm):
    """What to take of one table, and as what."""

    format = forms.ChoiceField(
        label=_("Format"), choices=[(name, name) for name in FORMATS], initial="jsonl", required=False
    )
    # Under which the page asks how far its download is.
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4, required=False)
    field_order = ("format",)


class SnapshotForm(CriteriaForm):
    """A snapshot to make."""

    title = forms.CharField(label=_("Title"), max_length=MAX_TITLE_CHARACTERS)
    note = forms.CharField(
        label=_("Note"), required=False, max_length=MAX_NOTE_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}),
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, filters=SNAPSHOT_FILTERS, **kwargs)
