"""People and tokens in the admin: who has which role, which tokens live."""

from __future__ import annotations

from datetime import date
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import ApiToken, User
from portal.accounts.roles import Role
from portal.accounts.services import refresh_staff_flag

# The admin's own form counts no wrong passwords; allauth's sign-in page does.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


class RoleFilter(admin.SimpleListFilter):
    """People who have a role."""

    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(role.value, str(role.label)) for role in Role]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        if self.value() is None:
            return queryset
        membership = User.groups.through.objects.filter(user_id=OuterRef("pk"), group__name=self.value())
        return queryset.filter(Exists(membership))


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    """`is_staff` follows the roles. Only a superuser makes, changes or deletes a superuser."""

    # As many as stand beside the filters on a screen of 1280 pixels; the rest is on a person's page.
    list_display = ["username", "email", "roles", "is_active", "last_login_day"]
    list_filter = [RoleFilter, "is_active", "is_superuser"]
    search_fields = ["username", "email"]
    filter_horizontal = ["groups", "user_permissions"]
    readonly_fields = ["is_staff", "date_joined", "last_login"]
    fieldsets = [
        (None, {"fields": ["username", "email", "password"]}),
        (_("Roles"), {"fields": ["groups", "is_active", "is_staff", "is_superuser", "user_permissions"]}),
        (_("Dates"), {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "email", "usable_password", "password1", "password2"]})]

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        names = sorted(group.name for group in user.groups.all())
        return ", ".join([gettext("superuser"), *names] if user.is_superuser else names)

    @admin.display(description=_("last login"), ordering="last_login", empty_value="-")
    def last_login_day(self, user: User) -> date | None:
        return user.last_login.date() if user.last_login is not None else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        fields = [str(field) for field in super().get_readonly_fields(request, obj)]
        if not _is_superuser(request):
            fields += ["is_superuser", "user_permissions"]
        return fields

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def save_related(self, request: HttpRequest, form: UserChangeForm[User], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # Somebody who is no superuser any more keeps the admin only by a role.
        refresh_staff_flag([form.instance.pk])


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    return user is None or not user.is_superuser or _is_superuser(request)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Which tokens live, and a way to end one. Neither secret nor digest is shown."""

    list_display = ["name", "hint", "user", "scope_list", "created", "expiry", "last_used_at"]
    list_filter = ["created", "expiry"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username", "user__email"]
    fields = ["name", "hint", "user", "scope_list", "created", "expiry", "last_used_at"]
    readonly_fields = ["hint", "scope_list"]

    @admin.display(description=_("begins with"))
    def hint(self, token: ApiToken) -> str:
        return token.hint

    @admin.display(description=_("scopes"))
    def scope_list(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        return False
