"""Runs and conversations in the Django admin, for operators who look into a failure: read, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.catalog.admin_list import BoundedPaginator, CardFilter, VariantFilter, is_uuid
from portal.playground.models import Generation, LibraryPrompt, PromptCollection, WorkerHeartbeat


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    show_full_result_count = False
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """Search takes an id alone: prompts are people's own, and nobody browses them by their words."""

    list_display = ("id", "state", "model_id", "created_at", "attempt", "lost_leases", "finish_reason", "error_code")
    list_filter = ("state", "error_code", CardFilter, VariantFilter, "created_at")
    list_per_page = 50
    search_fields = ("id",)
    search_help_text = _("The id of a run or of a conversation.")
    ordering = ("-created_at", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        runs: QuerySet[Generation] = super().get_queryset(request).select_related("variant__card")
        return runs

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Generation], search_term: str
    ) -> tuple[QuerySet[Generation], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if not is_uuid(term):
            return queryset.none(), False
        return queryset.filter(Q(pk=term) | Q(conversation_id=term)), False

    @admin.display(description=_("model"))
    def model_id(self, generation: Generation) -> str:
        return generation.variant.model_id


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("worker_id", "hostname", "capacity", "started_at", "seen_at")
    ordering = ("-seen_at",)


class LibraryPromptInline(admin.TabularInline):  # type: ignore[type-arg]
    model = LibraryPrompt
    fields = ("position", "title", "prompt", "system_prompt")
    extra = 1


@admin.register(PromptCollection)
class PromptCollectionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Collections of the prompt library, with their prompts."""

    list_display = ("title", "is_published", "position", "author")
    prepopulated_fields = {"slug": ("title",)}
    inlines = (LibraryPromptInline,)

    def save_model(self, request: HttpRequest, obj: PromptCollection, form: Any, change: bool) -> None:
        if not change and request.user.is_authenticated:
            obj.author = request.user
        super().save_model(request, obj, form, change)
