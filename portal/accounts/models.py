"""People and their API tokens."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken

from portal.accounts.roles import Role

LAST_USE_RESOLUTION = timedelta(minutes=1)


class User(AbstractUser):
    """A person with an account."""

    class Meta(AbstractUser.Meta):
        constraints = [models.UniqueConstraint(Lower("username"), name="username_unique_ignoring_case")]

    def has_role(self, role: Role) -> bool:
        return self.is_superuser or self.groups.filter(name=role.value).exists()


class Scope(models.TextChoices):
    """What a token may be used for."""

    READ = "read", _("Read cards, runs and judgements")
    SUBMIT = "submit", _("Start runs and submit judgements")
    REVIEW = "review", _("Review judgements")
    EXPORT = "export", _("Export data in bulk")
    ADMIN = "admin", _("Administer the installation")


class ApiToken(AbstractAuthToken):
    """A bearer token; only its digest is kept, so it can be shown once."""

    name = models.CharField(_("name"), max_length=80)
    scopes = models.JSONField(_("scopes"), default=list)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ["-created"]

    def __str__(self) -> str:
        return self.name

    def allows(self, scope: Scope) -> bool:
        return scope.value in self.scopes

    def record_use(self) -> None:
        """Remember the last use, to the minute: a busy client must not cost a write per request."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= LAST_USE_RESOLUTION:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
