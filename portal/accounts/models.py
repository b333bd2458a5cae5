"""People and their API tokens."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Final

from django.contrib.auth.models import AbstractUser
from django.db import OperationalError, models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken
from knox.settings import CONSTANTS

from portal.accounts import usernames
from portal.accounts.roles import Role

logger = logging.getLogger(__name__)

LAST_USE_RESOLUTION = timedelta(minutes=1)


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox's manager is untyped
    """A person with an account."""

    username = models.CharField(
        _("username"),
        max_length=usernames.MAX_LENGTH,
        unique=True,
        validators=usernames.VALIDATORS,
        help_text=_("2 to 40 letters A to Z, digits, dots, hyphens and underscores."),
        error_messages={"unique": _("Somebody has this username already. Choose another.")},
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="username_unique_ignoring_case",
                violation_error_message=_("Somebody has this username already. Choose another."),
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email=""),
                name="email_unique_ignoring_case",
                violation_error_message=_("Somebody has this email address already."),
            ),
        ]

    @cached_property
    def role_names(self) -> frozenset[str]:
        """The names of this person's groups, read once; a change of groups forgets them (see receivers.py)."""
        return frozenset(self.groups.values_list("name", flat=True))

    def has_role(self, role: Role) -> bool:
        return self.is_superuser or role.value in self.role_names


class Scope(models.TextChoices):
    """What a token may be used for."""

    READ = "read", _("Read judgements and your own conversations and runs (/api/v1), and the list of models (/v1)")
    SUBMIT = "submit", _("Start runs (/api/v1, /v1/chat/completions), read them, and submit judgements (/api/v1)")
    REVIEW = "review", _("Review judgements, as the review pages let you (/api/v1/review/)")
    EXPORT = "export", _("Read judgements (/api/v1), and nothing else")
    WEBHOOKS = "webhooks", _("Manage webhooks (/api/v1/webhooks)")
    ADMIN = "admin", _("Make questionnaires, campaigns and known limitations, as your role lets you (/api/v1)")


# One of these roles is needed for a scope; a scope that is not named here is everybody's.
SCOPE_ROLES: Final[dict[Scope, frozenset[Role]]] = {
    Scope.REVIEW: frozenset({Role.REVIEWER, Role.MAINTAINER, Role.OPERATOR}),
    Scope.EXPORT: frozenset(Role),
    Scope.WEBHOOKS: frozenset({Role.MAINTAINER, Role.OPERATOR}),
    Scope.ADMIN: frozenset({Role.MAINTAINER, Role.OPERATOR}),
}


def may_grant(user: User, scope: Scope) -> bool:
    """Whether this person's roles cover a scope."""
    return scope not in SCOPE_ROLES or any(user.has_role(role) for role in SCOPE_ROLES[scope])


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox is untyped
    """A bearer token; only its digest is kept, so it can be shown once."""

    # knox makes the digest the key; then every address that names a token would carry it.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=CONSTANTS.DIGEST_LENGTH, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=80)
    scopes = models.JSONField(_("scopes"), default=list)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def hint(self) -> str:
        """The first characters, by which its holder knows one token from another; 16 of its 256 random bits."""
        return f"{self.token_key[:7]}…"

    @property
    def is_expired(self) -> bool:
        return self.expiry is not None and self.expiry <= timezone.now()

    @property
    def scope_labels(self) -> list[str]:
        return [str(Scope(value).label) for value in self.scopes]

    def allows(self, scope: Scope) -> bool:
        """Whether the token has the scope, and its owner still the role that the scope needs."""
        return scope.value in self.scopes and may_grant(self.user, scope)

    def record_use(self) -> None:
        """Remember the last use, to the minute: a busy client must not cost a write per request."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= LAST_USE_RESOLUTION:
            try:
                ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
            except OperationalError as error:
                # Somebody else has the database for long. What is only to be read can be read meanwhile.
                logger.warning("That token %s was used is not noted: %s", self.pk, error)
