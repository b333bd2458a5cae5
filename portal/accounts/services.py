"""What changes accounts: tokens made and revoked, roles and their consequences, an account deleted."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, router, transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.accounts.actors import VISITOR_SESSION_KEY
from portal.accounts.models import ApiToken, Scope, User, may_grant
from portal.accounts.roles import PERMISSIONS, STAFF_ROLES, Role
from portal.accounts.signals import visitor_became_user

MAX_TOKENS_PER_PERSON: Final = 50
MAX_TOKEN_LIFETIME: Final = timedelta(days=3650)
MAX_TOKEN_NAME_CHARACTERS: Final = 80


class TokenExistsError(Exception):
    """A request to make a token came twice."""


def create_token(
    user: User,
    *,
    name: str,
    scopes: Iterable[str],
    lifetime: timedelta | None,
    token_id: uuid.UUID | None = None,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its secret, which nothing can give a second time.

    `lifetime` None never expires. A `token_id` chosen by the client makes a repeated request fail instead of making a
    second token. Raises TokenExistsError, and ValidationError naming the field: name, scopes, lifetime, or none of them
    when the person has all the tokens that one person may have.
    """
    name = name.strip()
    if not name or len(name) > MAX_TOKEN_NAME_CHARACTERS or not name.isprintable():
        raise ValidationError(
            {
                "name": _("Give the token a name of 1 to %(limit)d printable characters.")
                % {"limit": MAX_TOKEN_NAME_CHARACTERS}
            }
        )
    if lifetime is not None and not timedelta(0) < lifetime <= MAX_TOKEN_LIFETIME:
        raise ValidationError(
            {"lifetime": _("A token lives for 1 to %(limit)d days.") % {"limit": MAX_TOKEN_LIFETIME.days}}
        )
    granted = _granted_scopes(user, scopes)
    with transaction.atomic():
        # The person's row is the lock under which their tokens are counted.
        User.objects.select_for_update().get(pk=user.pk)
        if ApiToken.objects.filter(user=user).count() >= MAX_TOKENS_PER_PERSON:
            raise ValidationError(
                _("You have %(limit)d tokens, the most that one person may have. Revoke one that you no longer use.")
                % {"limit": MAX_TOKENS_PER_PERSON}
            )
        if token_id is not None and ApiToken.objects.filter(pk=token_id).exists():
            raise TokenExistsError
        token: ApiToken
        token, secret = ApiToken.objects.create(
            user=user, expiry=lifetime, id=token_id or uuid.uuid4(), name=name, scopes=granted
        )
        return token, secret


def _granted_scopes(user: User, scopes: Iterable[str]) -> list[str]:
    """The scopes without repetition, in the order in which Scope declares them."""
    wanted = set(scopes)
    unknown = sorted(wanted - set(Scope.values))
    if unknown:
        raise ValidationError(
            {
                "scopes": _("Unknown scope: %(unknown)s. The scopes are %(known)s.")
                % {"unknown": ", ".join(unknown), "known": get_text_list(Scope.values, _("and"))}
            }
        )
    if not wanted:
        raise ValidationError({"scopes": _("Choose at least one scope.")})
    refused = [scope.value for scope in Scope if scope.value in wanted and not may_grant(user, scope)]
    if refused:
        raise ValidationError(
            {
                "scopes": _("%(user)s has no role that covers the scope %(scopes)s.")
                % {"user": user.get_username(), "scopes": get_text_list(refused, _("and"))}
            }
        )
    return [scope.value for scope in Scope if scope.value in wanted]


def revoke_token(token: ApiToken) -> None:
    """End a token at once: the next request with it is refused."""
    token.delete()


class LastSuperuserError(Exception):
    """Nobody would be left who can do everything."""

    def __str__(self) -> str:
        return str(self.message)

    message = gettext_lazy(
        "This is the installation's last superuser. Make another account a superuser first, in the admin."
    )


def delete_account(user: User) -> None:
    """Delete a person with all that `queries.deletion_summary` counts. Raises LastSuperuserError."""
    with transaction.atomic():
        superusers = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
        if user.is_superuser and not [other for other in superusers if other.pk != user.pk]:
            raise LastSuperuserError
        user.delete()


def hand_over_visitor(request: HttpRequest, user: User) -> None:
    """What the anonymous visitor of this browser owns becomes the user's.

    The key leaves the session: after the sign-out, the next person at this browser is somebody else.
    """
    key = request.session.get(VISITOR_SESSION_KEY)
    if key:
        with transaction.atomic():
            visitor_became_user.send(sender=User, visitor=uuid.UUID(key), user=user)
        del request.session[VISITOR_SESSION_KEY]


def refresh_staff_flag(user_ids: Collection[int]) -> None:
    """`is_staff` follows the roles; a superuser's is left as it is."""
    staff_role = User.groups.through.objects.filter(
        user_id=OuterRef("pk"), group__name__in=[role.value for role in STAFF_ROLES]
    )
    User.objects.filter(pk__in=user_ids, is_superuser=False).update(is_staff=Exists(staff_role))


def sync_roles(app_label: str, *, apps: Apps = global_apps, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the roles' groups, and their rights on one app exactly those that `roles.PERMISSIONS` lists.

    Runs after every migration, app by app, since an app's permissions exist only once it has been migrated. Rights on
    apps that no role mentions are somebody else's decision and stay.
    """
    try:
        group_model = apps.get_model("auth", "Group")
        permission_model = apps.get_model("auth", "Permission")
    except LookupError:
        return
    if not router.allow_migrate_model(using, group_model):
        return
    wanted = {role: _codenames(role, app_label) for role in Role}
    if app_label == "accounts":
        for role in Role:
            group_model.objects.using(using).get_or_create(name=role.value)
    if not any(wanted.values()):
        return
    permissions = {
        permission.codename: permission
        for permission in permission_model.objects.using(using).filter(content_type__app_label=app_label)
    }
    for role, codenames in wanted.items():
        group: Group
        group, _created = group_model.objects.using(using).get_or_create(name=role.value)
        held = {permission.codename for permission in group.permissions.filter(content_type__app_label=app_label)}
        missing = [permissions[codename] for codename in sorted(codenames - held) if codename in permissions]
        surplus = [permissions[codename] for codename in sorted(held - codenames)]
        if missing:
            group.permissions.add(*missing)
        if surplus:
            group.permissions.remove(*surplus)


def _codenames(role: Role, app_label: str) -> set[str]:
    return {
        f"{action}_{model}"
        for key, actions in PERMISSIONS[role].items()
        for label, model in [key.split(".")]
        if label == app_label
        for action in actions
    }
