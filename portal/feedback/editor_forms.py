"""The forms in which maintainers make questionnaires and campaigns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.feedback.models import Campaign, Question, QuestionKind, Questionnaire
from portal.feedback.proposed_names import proposed_key, proposed_name
from portal.feedback.question_options import FIELDS_OF_KIND, MAX_KEY_CHARACTERS, fields_of, possible_conditions
from portal.feedback.questionnaire_services import QuestionValues
from portal.feedback.wording import LANGUAGE_NAMES

_LINES: Final = _("One a line. “key | Label” keeps a key that was answered before; a label alone gets one.")


class NewQuestionnaireForm(forms.Form):
    title = forms.CharField(
        label=_("Title"), max_length=200, widget=forms.TextInput(attrs={"data-proposes": "id_slug"})
    )
    slug = forms.SlugField(
        label=_("Name"),
        max_length=80,
        required=False,
        help_text=_("In addresses and exports: small letters, digits and -. Empty: made of the title."),
    )

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("title") and said.get("slug") == "":
            said["slug"] = proposed_name(said["title"], Questionnaire.objects.all(), "questionnaire")
        return said


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    revision = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    language = forms.ChoiceField(label=_("Language"), choices=list(LANGUAGE_NAMES.items()))

    class Meta:
        model = Questionnaire
        fields = ("title", "intro", "language", "on_answers", "on_comparisons", "on_cards")
        widgets = {"intro": forms.Textarea(attrs={"rows": 4})}


class QuestionForm(forms.Form):
    """One question; of the fields for options, those that its kind has."""

    revision = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    label = forms.CharField(label=_("Question"), max_length=200)
    key = forms.SlugField(
        label=_("Key"),
        max_length=MAX_KEY_CHARACTERS,
        required=False,
        help_text=_("In exports; the same key in two versions is the same question. Empty: made of the question."),
    )
    help = forms.CharField(
        label=_("Help"),
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Markdown",
    )
    is_required = forms.BooleanField(label=_("Needs an answer"), required=False)
    condition = forms.ChoiceField(label=_("Ask only when"), required=False)
    choices = forms.CharField(
        label=_("To choose from"), required=False, widget=forms.Textarea(attrs={"rows": 6}), help_text=_LINES
    )
    rows = forms.CharField(label=_("Rows"), required=False, widget=forms.Textarea(attrs={"rows": 5}), help_text=_LINES)
    columns = forms.CharField(
        label=_("Columns"), required=False, widget=forms.Textarea(attrs={"rows": 4}), help_text=_LINES
    )
    low = forms.DecimalField(label=_("Smallest number"), required=False)
    high = forms.DecimalField(label=_("Largest number"), required=False)
    anchors = forms.CharField(
        label=_("Words on the scale"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One a line, as in “1 | Useless”."),
    )
    most = forms.IntegerField(label=_("At most this many"), required=False)
    ties = forms.BooleanField(label=_("Equal places are allowed"), required=False, initial=True)
    whole = forms.BooleanField(label=_("Every row needs an answer"), required=False)
    max_characters = forms.IntegerField(label=_("At most this many characters"), required=False)
    decimals = forms.IntegerField(label=_("Digits behind the point"), required=False)
    unit = forms.CharField(label=_("Unit"), required=False, max_length=40)
    first_day = forms.DateField(
        label=_("First day"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    last_day = forms.DateField(
        label=_("Last day"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(
        self,
        *args: Any,
        kind: QuestionKind,
        before: Iterable[Question],
        question: Question | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        always = {"revision", "label", "key", "help", "is_required", "condition"}
        for name in set(self.fields) - always - set(FIELDS_OF_KIND[kind]):
            del self.fields[name]
        self._conditions = {condition.value: condition for condition in possible_conditions(before)}
        choices = [("", _("Always"))] + [(value, each.label) for value, each in self._conditions.items()]
        self.fields["condition"].choices = choices  # type: ignore[attr-defined]
        self._key, self._taken = (question.key if question else ""), {each.key for each in before}
        if question is not None:
            self.initial = {**question_initial(question), **self.initial}
        else:
            self.fields["label"].widget.attrs["data-proposes"] = "id_key"

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        # A key that was refused is not there, and is not replaced.
        if said.get("key") == "" and said.get("label"):
            said["key"] = self._key or proposed_key(said["label"], self._taken)
        return said

    def values(self) -> QuestionValues:
        said = self.cleaned_data
        condition = self._conditions.get(said["condition"])
        return QuestionValues(
            key=said["key"],
            label=said["label"],
            help=said["help"],
            is_required=said["is_required"],
            show_if=condition.show_if if condition is not None else {},
            fields=said,
        )

    def stored(self, question: Question) -> list[tuple[str, Any]]:
        """What is stored now where it differs from what this form says, for somebody who was second."""
        initial = question_initial(question)
        return [
            (str(field.label), initial.get(name, ""))
            for name, field in self.fields.items()
            if name != "revision"
            and str(initial.get(name) or "") != str(self.data.get(name) or "").replace("\r\n", "\n")
        ]


def question_initial(question: Question) -> dict[str, Any]:
    """A question as the editor's fields have it."""
    condition = question.show_if
    return {
        "label": question.label,
        "key": question.key,
        "help": question.help,
        "is_required": question.is_required,
        "condition": f"{condition['key']}={condition['equals']}" if condition else "",
        **fields_of(question),
    }


class QuestionnaireChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Questionnaires by title and version; the name tells apart two of one title."""

    def label_from_instance(self, obj: Questionnaire) -> str:
        said = {"title": obj.title, "version": obj.version, "name": obj.slug}
        return gettext("%(title)s, version %(version)d (%(name)s)") % said


class CampaignForm(forms.ModelForm):  # type: ignore[type-arg]
    """A campaign; which questionnaires it may ask depends on what is published."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)
    opens_at = forms.DateTimeField(
        label=_("Opens"),
        initial=timezone.now,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("UTC."),
    )
    closes_at = forms.DateTimeField(
        label=_("Deadline"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=_("UTC. Without one it stays open."),
    )

    class Meta:
        model = Campaign
        fields = (
            "title", "slug", "summary", "appeal", "thanks", "questionnaire", "opens_at", "closes_at", "goal",
            "allows_anonymous", "is_once", "results_shown", "is_published",
        )  # fmt: skip
        field_classes = {"questionnaire": QuestionnaireChoice}
        help_texts = {"slug": _("How it is called in its address, such as next-open-model.")}
        widgets = {"appeal": forms.Textarea(attrs={"rows": 8}), "thanks": forms.Textarea(attrs={"rows": 5})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        published = Questionnaire.objects.filter(published_at__isnull=False)
        # Those that ask about the words of an answer have nothing to ask about here.
        fitting = published.exclude(
            questions__kind__in=[QuestionKind.SPANS, QuestionKind.CORRECTION, QuestionKind.TOKEN]
        )
        asked = self.fields["questionnaire"]
        assert isinstance(asked, forms.ModelChoiceField)
        asked.queryset = fitting.distinct().order_by("slug", "-version")
        asked.empty_label = _("Choose one")
        if self.instance.pk and self.instance.submissions.exists():
            # What was answered stays comparable; a new campaign may ask the new version.
            asked.disabled = True
        if self.instance.pk is None:
            self.fields["title"].widget.attrs["data-proposes"] = "id_slug"
            self.fields["slug"].required = False
            self.fields["slug"].help_text = _("In its address, such as next-open-model. Empty: made of the title.")

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if self.instance.pk is None and said.get("title") and said.get("slug") == "":
            said["slug"] = proposed_name(said["title"], Campaign.objects.all(), "campaign")
        opens, closes = said.get("opens_at"), said.get("closes_at")
        if opens and closes and closes <= opens:
            self.add_error("closes_at", _("Must be later than the opening."))
        return said
