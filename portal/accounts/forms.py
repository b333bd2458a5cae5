"""The forms of the accounts pages: signing in and up, and making a token."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, Final

from allauth.account.forms import LoginForm, SignupForm
from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import Scope, User, may_grant
from portal.accounts.services import MAX_TOKEN_NAME_CHARACTERS

NEVER: Final = "never"
LIFETIMES: Final = [
    ("7", _("7 days")),
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("365 days")),
    (NEVER, _("No expiry")),
]


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth is untyped
    """allauth's form, with labels that say what to type."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or email address")
        self.fields["login"].widget.attrs["autocomplete"] = "username"
        self.fields["remember"].label = _("Stay signed in")


class SignUpForm(SignupForm):  # type: ignore[misc]  # allauth is untyped
    """allauth's form; the account, its role and its address are made together or not at all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = User._meta.get_field("username").help_text  # noqa: SLF001

    def save(self, request: HttpRequest) -> User:
        """Raises IntegrityError when somebody took the name or the address since the form was validated."""
        with transaction.atomic():
            user: User = super().save(request)
        return user


class TokenForm(forms.Form):
    """Name, scopes and lifetime of a token; only scopes that the person may grant are offered."""

    token_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_TOKEN_NAME_CHARACTERS,
        help_text=_("What will use it, for example “nightly export”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(label=_("Scopes"), widget=forms.CheckboxSelectMultiple)
    lifetime = forms.ChoiceField(label=_("Expires after"), choices=LIFETIMES, initial="90")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(scope.value, f"{scope.value}: {scope.label}") for scope in Scope if may_grant(user, scope)]

    def clean_lifetime(self) -> timedelta | None:
        days = self.cleaned_data["lifetime"]
        return None if days == NEVER else timedelta(days=int(days))
