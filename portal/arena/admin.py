"""Pools with their sampling weights, edited by maintainers; votes and comparisons, browsed and taken out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from portal.arena.models import Comparison, Pool, PoolEntry, VoidReason, Vote
from portal.catalog.admin_list import BoundedPaginator, is_uuid


class PoolEntryInline(admin.TabularInline):  # type: ignore[type-arg]
    model = PoolEntry
    extra = 1
    autocomplete_fields = ("variant",)


@admin.register(Pool)
class PoolAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("title", "slug", "pairing", "is_automatic", "is_open", "position")
    prepopulated_fields = {"slug": ("title",)}
    inlines = (PoolEntryInline,)


class _ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_per_page = 50
    show_full_result_count = False
    # A comparison's page is its owner's alone.
    view_on_site = False
    paginator = BoundedPaginator
    search_fields = ("id",)
    ordering = ("-created_at", "-id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Comparison)
class ComparisonAdmin(_ReadOnlyAdmin):
    list_display = ("id", "kind", "model_a", "model_b", "turn", "created_at")
    list_filter = ("kind", "created_at")
    search_help_text = _("The id of a comparison, a contest or a run.")
    exclude = ("owner", "visitor")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Comparison]:
        rows: QuerySet[Comparison] = super().get_queryset(request)
        return rows.select_related("generation_a__variant__card", "generation_b__variant__card")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Comparison], search_term: str
    ) -> tuple[QuerySet[Comparison], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if not is_uuid(term):
            return queryset.none(), False
        found = Q(pk=term) | Q(contest_id=term) | Q(generation_a_id=term) | Q(generation_b_id=term)
        return queryset.filter(found), False

    @admin.display(description=_("A"))
    def model_a(self, comparison: Comparison) -> str:
        return comparison.generation_a.variant.model_id

    @admin.display(description=_("B"))
    def model_b(self, comparison: Comparison) -> str:
        return comparison.generation_b.variant.model_id


@admin.register(Vote)
class VoteAdmin(_ReadOnlyAdmin):
    list_display = (
        "created_at",
        "kind",
        "model_a",
        "model_b",
        "outcome",
        "language",
        "category",
        "void_reason",
        "review_state",
        "voter",
    )
    list_filter = ("kind", "pool", "outcome", "category", "void_reason", "review_state", "created_at")
    search_help_text = _("The id of a vote or of its comparison.")
    exclude = ("owner", "visitor")
    readonly_fields = ("voter",)
    actions = ("take_out", "count_again")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Vote]:
        rows: QuerySet[Vote] = super().get_queryset(request)
        return rows.select_related("variant_a__card", "variant_b__card", "owner", "pool")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Vote], search_term: str
    ) -> tuple[QuerySet[Vote], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if not is_uuid(term):
            return queryset.none(), False
        return queryset.filter(Q(pk=term) | Q(comparison_id=term)), False

    def has_void_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("arena.change_vote")

    @admin.action(description=_("Take out: keep, but rank without"), permissions=["void"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[Vote]) -> None:
        changed = [vote for vote in queryset if vote.void(VoidReason.OPERATOR)]
        self._tell(request, changed, "Taken out of the ranking.")

    @admin.action(description=_("Count again what was taken out"), permissions=["void"])
    def count_again(self, request: HttpRequest, queryset: QuerySet[Vote]) -> None:
        changed = [vote for vote in queryset if vote.count_again()]
        self._tell(request, changed, "Counted again.")

    def _tell(self, request: HttpRequest, changed: list[Vote], note: str) -> None:
        for vote in changed:
            self.log_change(request, vote, note)
        done = ngettext("%d vote was changed.", "%d votes were changed.", len(changed)) % len(changed)
        self.message_user(request, done, messages.SUCCESS)

    @admin.display(description=_("A"))
    def model_a(self, vote: Vote) -> str:
        return vote.variant_a.model_id

    @admin.display(description=_("B"))
    def model_b(self, vote: Vote) -> str:
        return vote.variant_b.model_id

    @admin.display(description=_("voter"))
    def voter(self, vote: Vote) -> str:
        if vote.owner is not None:
            return vote.owner.get_username()
        return f"visitor {str(vote.visitor)[:8]}" if vote.visitor else ""
