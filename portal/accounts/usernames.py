"""What a username may be: checked by the sign-up form, the admin and `createsuperuser` alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django.core.validators import MinLengthValidator, RegexValidator
from django.utils.translation import gettext_lazy as _

MAX_LENGTH: Final = 40

# \Z and not $, which would let a trailing line break through.
characters = RegexValidator(
    r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z",
    _("Use letters A to Z, digits, dots, hyphens and underscores, beginning and ending with a letter or digit."),
    code="username_characters",
)
VALIDATORS: Final[list[Callable[[Any], None]]] = [MinLengthValidator(2), characters]

# Names that a reader would take for the installation itself. Nobody can sign up with one; an operator may give one.
RESERVED: Final = frozenset(
    {
        "about", "account", "accounts", "admin", "administrator", "anonymous", "api", "arena", "bot", "compare",
        "contributions", "contributor", "deleted", "everyone", "exports", "feedback", "guest", "health", "help",
        "info", "leaderboard", "login", "logout", "mail", "maintainer", "me", "models", "moderator", "nobody", "none",
        "noreply", "null", "official", "operator", "playground", "postmaster", "review", "reviewer", "root",
        "security", "signup", "staff", "static", "status", "steelyard", "superuser", "support", "system", "team",
        "undefined", "user", "visitor", "webmaster",
    }
)  # fmt: skip


def is_reserved(username: str) -> bool:
    """Whether a name is reserved, also when it is dressed up: "Steel.Yard" reads as "steelyard"."""
    return re.sub(r"[._-]", "", username).lower() in RESERVED
