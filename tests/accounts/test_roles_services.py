from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from portal.accounts.models import User
from portal.accounts.roles import PERMISSIONS, STAFF_ROLES, Role
from portal.accounts.services import sync_roles

pytestmark = pytest.mark.django_db


def rights_of(role: Role) -> set[str]:
    found = Permission.objects.filter(group__name=role.value).values_list("content_type__app_label", "codename")
    return {f"{label}.{codename}" for label, codename in found}


def listed(role: Role) -> set[str]:
    return {
        f"{key.split('.')[0]}.{action}_{key.split('.')[1]}"
        for key, actions in PERMISSIONS[role].items()
        for action in actions
    }


@pytest.mark.parametrize("role", Role)
def test_after_migrating_each_role_has_exactly_the_rights_that_are_listed(role: Role) -> None:
    assert rights_of(role) == listed(role)


def test_every_listed_right_is_one_that_django_knows() -> None:
    known = {f"{label}.{name}" for label, name in Permission.objects.values_list("content_type__app_label", "codename")}
    assert set().union(*(listed(role) for role in Role)) <= known


def test_syncing_again_changes_nothing(django_assert_max_num_queries) -> None:
    before = {role: rights_of(role) for role in Role}
    for config in apps.get_app_configs():
        sync_roles(config.label)
    assert {role: rights_of(role) for role in Role} == before
    assert Group.objects.count() == len(Role)
    with django_assert_max_num_queries(0):
        sync_roles("sessions")


def test_syncing_takes_back_what_is_not_listed_and_gives_back_what_is() -> None:
    group = Group.objects.get(name=Role.REVIEWER.value)
    before = rights_of(Role.REVIEWER)
    group.permissions.remove(Permission.objects.get(codename="view_submission"))
    group.permissions.add(Permission.objects.get(codename="delete_user", content_type__app_label="accounts"))
    sync_roles("accounts")
    sync_roles("feedback")
    # Reviewers have no listed right on accounts, and other roles do: the surplus one is taken back.
    assert rights_of(Role.REVIEWER) == before


def test_roles_come_back_with_the_next_migrate() -> None:
    Group.objects.all().delete()
    call_command("migrate", verbosity=0, stdout=StringIO())
    assert {role: rights_of(role) for role in Role} == {role: listed(role) for role in Role}


def test_every_new_account_is_a_contributor(alice: User, superuser: User) -> None:
    assert alice.role_names == {"contributor"}
    assert superuser.role_names == {"contributor"}
    assert alice.has_role(Role.CONTRIBUTOR)
    assert not alice.has_role(Role.REVIEWER)
    assert superuser.has_role(Role.REVIEWER)
    assert not alice.is_staff


@pytest.mark.parametrize("role", Role)
def test_a_staff_role_opens_the_admin_and_losing_it_closes_it(alice: User, role: Role) -> None:
    group = Group.objects.get(name=role.value)
    alice.groups.add(group)
    assert alice.is_staff is (role in STAFF_ROLES)
    assert alice.has_role(role)
    alice.groups.remove(group)
    alice.refresh_from_db()
    assert not alice.is_staff
    assert not alice.has_role(role)


def test_the_staff_flag_follows_changes_made_from_the_group(alice: User, bob: User) -> None:
    group = Group.objects.get(name=Role.REVIEWER.value)
    group.user_set.add(alice, bob)
    assert User.objects.filter(is_staff=True).count() == 2
    group.user_set.remove(alice)
    assert list(User.objects.filter(is_staff=True)) == [bob]
    group.user_set.clear()
    assert not User.objects.filter(is_staff=True).exists()


def test_losing_one_of_two_staff_roles_keeps_the_admin_open(make_user) -> None:
    user = make_user("dora", Role.REVIEWER, Role.MAINTAINER)
    user.groups.remove(Group.objects.get(name=Role.REVIEWER.value))
    user.refresh_from_db()
    assert user.is_staff
    user.groups.clear()
    user.refresh_from_db()
    assert not user.is_staff


def test_a_superusers_staff_flag_is_left_alone(superuser: User) -> None:
    superuser.groups.add(Group.objects.get(name=Role.REVIEWER.value))
    superuser.groups.clear()
    superuser.refresh_from_db()
    assert superuser.is_staff
