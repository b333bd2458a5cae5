"""What follows by itself when people sign in, accounts are made, groups change and migrations end."""

from __future__ import annotations

from typing import Any

from django.apps import apps as global_apps
from django.apps.config import AppConfig
from django.apps.registry import Apps
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import m2m_changed, post_migrate, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.accounts.services import hand_over_visitor, refresh_staff_flag, sync_roles


@receiver(user_logged_in)
def on_sign_in(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    """Also for a sign-in that did not come by allauth, whose adapter has done it already."""
    if request is not None:
        hand_over_visitor(request, user)


@receiver(post_save, sender=User)
def make_contributor(sender: type[User], instance: User, created: bool, raw: bool, using: str, **kwargs: Any) -> None:
    """Every new account is a contributor, however it was made."""
    if created and not raw:
        group, _ = Group.objects.using(using).get_or_create(name=Role.CONTRIBUTOR.value)
        instance.groups.add(group)


@receiver(m2m_changed, sender=User.groups.through)
def follow_group_change(
    sender: Any, instance: User | Group, action: str, reverse: bool, pk_set: set[int] | None, **kwargs: Any
) -> None:
    """Staff roles open the admin, and losing the last one closes it."""
    if isinstance(instance, User):
        if action.startswith("post_"):
            instance.__dict__.pop("role_names", None)
            refresh_staff_flag([instance.pk])
            instance.refresh_from_db(fields=["is_staff"])
    elif action == "pre_clear":
        # Afterwards nobody knows any more who was in the group.
        instance._steelyard_members = list(instance.user_set.values_list("pk", flat=True))  # type: ignore[attr-defined]  # noqa: SLF001
    elif action == "post_clear":
        refresh_staff_flag(instance.__dict__.pop("_steelyard_members", []))
    elif action.startswith("post_"):
        refresh_staff_flag(pk_set or ())


@receiver(post_migrate)
def sync_roles_of_app(sender: AppConfig, using: str, apps: Apps = global_apps, **kwargs: Any) -> None:
    """Give the roles their rights on one app, as soon as Django has made that app's permissions."""
    sync_roles(sender.label, apps=apps, using=using)
