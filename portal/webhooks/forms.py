"""What a person says of a webhook."""

from __future__ import annotations

import uuid

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.exports.models import RecordKind
from portal.webhooks.models import MAX_URL_CHARACTERS
from portal.webhooks.services import MAX_NAME_CHARACTERS


class EndpointForm(forms.Form):
    """A webhook's name, address and what it is told of."""

    name = forms.CharField(
        label=_("Name"), max_length=MAX_NAME_CHARACTERS, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=MAX_URL_CHARACTERS,
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://example.org/hooks/steelyard"}),
        help_text=_("Gets a POST with JSON. It must begin with https:// and be reachable from the internet at large."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Told of"), choices=RecordKind.choices, widget=forms.CheckboxSelectMultiple
    )


class NewEndpointForm(EndpointForm):
    """A webhook to make. The id is chosen with the form, so that sending it twice makes one."""

    endpoint_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
