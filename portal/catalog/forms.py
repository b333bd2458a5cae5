"""The forms in which maintainers write cards: a whole card in the admin, a new text on the card's own page."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from inference.memory_at_context import MemoryAtContext, weight_bytes_in
from portal.catalog.card_text import parse_card
from portal.catalog.import_source import SourceKind
from portal.catalog.models import MAX_NOTE_CHARACTERS, CardRevision, ModelCard, Variant


def with_line_ends_of(current: CardRevision | None, text: str) -> str:
    """Browsers send every line end as CRLF; a card keeps the ones that it had."""
    if current is not None and "\r\n" in current.text:
        return text
    return text.replace("\r\n", "\n")


class RevisionForm(forms.Form):
    """A new text for a card. What is wrong with the text itself, publish_revision says."""

    text = forms.CharField(
        label=_("Text"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "true", "class": "catalog-editor__text"}),
        help_text=_("As on model hubs: YAML between two lines of ---, then Markdown."),
    )
    note = forms.CharField(
        label=_("What changed"),
        required=False,
        max_length=MAX_NOTE_CHARACTERS,
        help_text=_("One sentence for the card's history."),
    )
    based_on = forms.IntegerField(label=_("Revision"), min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, current: CardRevision | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current = current
        # What was read, which an error of the text that is added later takes out of `cleaned_data`.
        self.said: dict[str, Any] = {}

    def clean(self) -> dict[str, Any] | None:
        self.said = {**self.cleaned_data}
        return super().clean()

    def clean_text(self) -> str:
        return with_line_ends_of(self._current, self.cleaned_data["text"])


class MemoryForm(forms.Form):
    """How long a context, in how many conversations at once, with what numbers: bytes come out."""

    tokens = forms.IntegerField(label=_("Tokens of context"), min_value=1, max_value=100_000_000)
    conversations = forms.IntegerField(label=_("Conversations at once"), min_value=1, max_value=100_000, initial=1)
    number_bytes = forms.TypedChoiceField(
        label=_("Keys and values as"),
        coerce=int,
        choices=[(2, _("bfloat16, 2 bytes")), (4, _("float32, 4 bytes")), (1, _("8 bits, 1 byte"))],
        initial=2,
    )

    def __init__(self, *args: Any, variant: Variant, **kwargs: Any) -> None:
        running = variant.runs_on
        self._facts, self._dtype = running.facts, running.dtype
        cached = self._facts.get("cached_numbers")
        self.cached_numbers = cached if isinstance(cached, int) else 0
        super().__init__(*args, **kwargs)
        self._tokens = min(running.context_length or 4096, 4096)
        self.fields["tokens"].initial = self._tokens

    def memory(self) -> MemoryAtContext:
        """For what was chosen, or for the first values while what was chosen is wrong."""
        chosen = self.cleaned_data if self.is_bound and self.is_valid() else {}
        parameters, stored = self._facts.get("parameters"), self._facts.get("weight_bytes")
        return MemoryAtContext(
            weights=weight_bytes_in(
                self._dtype,
                parameters if isinstance(parameters, int) else None,
                stored if isinstance(stored, int) else 0,
            ),
            cached_numbers=self.cached_numbers,
            bytes_per_number=chosen.get("number_bytes", 2),
            tokens=chosen.get("tokens", self._tokens),
            conversations=chosen.get("conversations", 1),
        )


# How each kind of source is written; a page says it of those that it offers.
_WRITTEN: Final = {
    SourceKind.HUB: _("from a hub: its id, such as org/name or org/name@revision"),
    SourceKind.UPSTREAM: _("from a server: its base URL"),
    SourceKind.FOLDER: _("a path below the folder that the operator has opened"),
    SourceKind.FILE: _("a path below the folder that the operator has opened"),
    SourceKind.PACKAGE: _("from an installed package: name/file"),
}


class ImportForm(forms.Form):
    """A wish to import a model. What is wrong with the source itself, start_import says."""

    kind = forms.ChoiceField(label=_("From where"), widget=forms.RadioSelect)
    source = forms.CharField(
        label=_("Source"),
        max_length=500,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )
    card = forms.CharField(
        label=_("Card"),
        max_length=200,
        required=False,
        help_text=_("owner/name. Empty: the hub's name, an adapter's base's card, or local/…"),
    )
    file = forms.CharField(
        label=_("GGUF file"),
        max_length=200,
        required=False,
        help_text=_("Where a hub's repository or a folder holds several."),
    )
    base = forms.CharField(
        label=_("Base of an adapter"),
        max_length=300,
        required=False,
        help_text=_("owner/name:variant. Empty: the one that the adapter's configuration names."),
    )
    model = forms.CharField(
        label=_("Model at the server"), max_length=300, required=False, help_text=_("Where it has several.")
    )
    is_published = forms.BooleanField(label=_("A new card is shown to everybody at once"), required=False, initial=True)

    def __init__(self, *args: Any, kinds: list[SourceKind], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(kind.value, kind.label) for kind in kinds]
        field.initial = kinds[0].value if kinds else None
        self.fields["source"].help_text = capfirst("; ".join(dict.fromkeys(str(_WRITTEN[kind]) for kind in kinds)))


class CardForm(forms.ModelForm):  # type: ignore[type-arg]
    """A card with its text. `changed_text` says whether saving makes a new revision."""

    text = forms.CharField(
        label=_("text"),
        strip=False,
        required=False,
        widget=forms.Textarea(attrs={"rows": 40, "cols": 120, "spellcheck": "true", "class": "vLargeTextField"}),
        help_text=_(
            "As on model hubs: YAML between lines of ---, then Markdown. Saving a changed text makes a revision."
        ),
    )
    note = forms.CharField(
        label=_("what changed"),
        required=False,
        max_length=MAX_NOTE_CHARACTERS,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("One sentence for the card's history."),
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = ModelCard
        fields = ["owner_name", "slug", "title", "summary", "is_published", "gate"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        current = self.instance.current_revision
        self.fields["text"].initial = current.text if current else ""
        self.fields["based_on"].initial = current.number if current else 0

    @property
    def current_revision(self) -> CardRevision | None:
        card: ModelCard = self.instance
        return card.current_revision

    @property
    def changed_text(self) -> bool:
        current = self.current_revision
        return bool(self.cleaned_data["text"]) and (current is None or current.text != self.cleaned_data["text"])

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        current = self.current_revision
        text = with_line_ends_of(current, text)
        if not text and current is not None:
            raise ValidationError(_("A card that has a text cannot lose it. Take the card out of the list instead."))
        try:
            parse_card(text)
        except ValidationError as error:
            raise ValidationError(error.messages) from error
        return text

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        current = self.current_revision
        number = current.number if current else 0
        if "text" in self.cleaned_data and self.changed_text and self.cleaned_data.get("based_on") != number:
            self.add_error(
                "text",
                _(
                    "Somebody else changed this card while you wrote: it is now at revision %(number)s. Copy your "
                    "text, open the card again, and bring your changes into the new text."
                )
                % {"number": number},
            )
        return cleaned
