"""Where Steelyard differs from allauth: what a sign-in does, reserved usernames, a mail server that is away."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal.accounts import usernames
from portal.accounts.models import User
from portal.accounts.services import hand_over_visitor

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def login(self, request: HttpRequest, user: User) -> None:
        # First, since Django's login deletes the visitor's session, and a failure after that would lose the key.
        hand_over_visitor(request, user)
        super().login(request, user)

    def get_login_stages(self) -> list[str]:
        replaced = {"allauth.account.stages.EmailVerificationStage": "portal.accounts.stages.EmailVerificationStage"}
        return [replaced.get(stage, stage) for stage in super().get_login_stages()]

    def clean_username(self, username: str, shallow: bool = False) -> str:
        if usernames.is_reserved(username):
            raise ValidationError(_("This username is reserved. Choose another."), code="username_reserved")
        cleaned: str = super().clean_username(username, shallow)
        return cleaned

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """The account exists whether or not its mail went out: say so on the page instead of failing behind it."""
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, SMTPException):
            logger.exception("Mail %s was not sent", template_prefix)
            messages.error(
                self.request,
                _("Our mail server does not answer, so the email was not sent. Try again in a few minutes."),
            )
