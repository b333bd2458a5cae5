"""Between the review pages' fields and what the services take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.db.models import Model
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import ModelCard, Variant
from portal.feedback.forms import answers_from_form
from portal.feedback.models import Question
from portal.reviews.models import Limitation, QueuePolicy, Review, SavedView
from portal.reviews.models.limitations import LimitationState, Rule
from portal.reviews.services.verdicts import Judgement

OWN_PREFIX: Final = "own."
MAX_DIGITS: Final = 9
# A sixth of a day: nobody looks at one item for longer.
MAX_INQUIRY_CHARACTERS: Final = 2_000
MAX_ACTIVE_S: Final = 4 * 3600


def judgement_from_form(data: QueryDict, answers: Mapping[str, Any] | None = None) -> Judgement:
    """The verdict as it was sent, not yet checked."""
    active_s = _number(data.get("active_s", ""))
    return Judgement(
        verdict=data.get("verdict", ""),
        reason=data.get("reason", ""),
        duplicate_of=_number(data.get("duplicate_of", "").strip().removeprefix("#")),
        labels=tuple(data.getlist("labels")),
        answers=answers or {},
        note=data.get("note", ""),
        active_s=min(active_s, MAX_ACTIVE_S) if active_s is not None else None,
    )


def judgement_as_given(review: Review) -> Judgement:
    """What a verdict was given with, to be put back into the form; its note and number as its reviewer wrote them."""
    return Judgement(
        verdict=review.verdict,
        reason=review.reason,
        duplicate_of=review.named_duplicate_of_id or review.duplicate_of_id,
        labels=tuple(review.labels),
        answers=review.answers,
        note=review.note,
    )


def own_answers_from_form(questions: Iterable[Question], data: QueryDict) -> dict[str, Any]:
    """A reviewer's own answers; theirs are the fields whose names begin with `own.`."""
    own = QueryDict(mutable=True)
    for name, values in data.lists():
        if name.startswith(OWN_PREFIX):
            own.setlist(name.removeprefix(OWN_PREFIX), values)
    return {key: value for key, value in answers_from_form(questions, own).items() if value not in (None, "", [])}


def item_numbers(data: QueryDict) -> list[int]:
    """The chosen rows."""
    return [number for each in data.getlist("item") if (number := _number(each)) is not None]


def claim_number_from_form(data: QueryDict) -> int:
    return _number(data.get("claim", "")) or 0


def needed_from_form(data: QueryDict) -> int:
    """The number of reviewers that the page offered to apply."""
    return _number(data.get("needed", "")) or 0


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class SavedViewForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SavedView
        fields = ("name", "is_shared")


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = QueuePolicy
        fields = (
            "enter_all",
            "sample_percent",
            "enter_flagged",
            "enter_disagreement",
            "needed_reviews",
            "lease_minutes",
            "gold_percent",
        )
        help_texts = {
            "gold_percent": _("Reviewers also get those that they have not met once nothing else waits; 0 gives none.")
        }


class AnswerInquiryForm(forms.Form):
    answer = forms.CharField(
        label=_("Your answer"), widget=forms.Textarea(attrs={"rows": 4}), max_length=MAX_INQUIRY_CHARACTERS
    )


class LimitationForm(forms.ModelForm):  # type: ignore[type-arg]
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Limitation
        fields = ("title", "description", "severity", "state", "mitigated_in")
        widgets = {"description": forms.Textarea(attrs={"rows": 5})}

    def __init__(self, *args: Any, card: ModelCard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        variants = forms.ModelChoiceField(
            Variant.objects.filter(card=card).select_related("card"),
            required=False,
            label=_("Mitigated in"),
            empty_label=_("none"),
        )
        self.fields["mitigated_in"] = variants

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("state") == LimitationState.MITIGATED and not cleaned.get("mitigated_in"):
            self.add_error("mitigated_in", _("Say in which variant it is mitigated."))
        return cleaned


class VariantField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A variant of any card, by its whole name."""

    def label_from_instance(self, obj: Model) -> str:
        assert isinstance(obj, Variant)
        return obj.model_id


class ReplayForm(forms.Form):
    variant = VariantField(Variant.objects.none(), label=_("On which variant"), empty_label=_("Choose one"))
    rule = forms.ChoiceField(label=_("An answer has flipped when"), choices=Rule.choices)
    phrase = forms.CharField(label=_("Phrase"), max_length=200, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        runnable = Variant.objects.filter(is_runnable=True)
        field = self.fields["variant"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = runnable.select_related("card").order_by("card__owner_name", "card__slug", "position")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("rule") == Rule.PHRASE and not cleaned.get("phrase", "").strip():
            self.add_error("phrase", _("Write the phrase that is looked for."))
        return cleaned
