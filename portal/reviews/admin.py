"""The review database in the admin: everything is browsed and searched, and what has a history is changed elsewhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.catalog.admin_list import BoundedPaginator, CardFilter, VariantFilter, is_uuid
from portal.reviews.models import (
    Block,
    ContributorRecord,
    DailyCount,
    Event,
    GoldItem,
    Inquiry,
    Limitation,
    LimitationReport,
    NoMail,
    Notice,
    QueuePolicy,
    Replay,
    Review,
    ReviewItem,
    SavedView,
)
from portal.reviews.queries.events import TARGETS
from portal.reviews.queries.told_history import thing_name, told_changes


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Looked at and never written; a page costs the same however many rows there are."""

    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Numbers, ids and names are looked up by index; nothing is scanned for."""
        term = search_term.strip().replace("\x00", "")
        return (queryset.filter(self.found_by(term)) if term else queryset), False

    def found_by(self, term: str) -> Q:
        return Q(pk=_number(term))


class ReviewInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Review
    fk_name = "item"
    fields = readonly_fields = (
        "created_at",
        "reviewer",
        "kind",
        "verdict",
        "reason",
        "note",
        "active_s",
        "superseded_by",
    )
    can_delete = False
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return super().get_queryset(request).select_related("reviewer")

    def has_add_permission(self, request: HttpRequest, obj: ReviewItem | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Review | None = None) -> bool:
        return False


class ItemCardFilter(CardFilter):
    path = "card_id"


class ItemVariantFilter(VariantFilter):
    path = "variant_id"


class ThumbFilter(admin.SimpleListFilter):
    """Named here: asking a million rows which thumbs there are costs more than the page."""

    title = _("thumb")
    parameter_name = "thumb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("up", _("Up")), ("down", _("Down"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReviewItem]) -> QuerySet[ReviewItem]:
        return queryset.filter(thumb=self.value()) if self.value() in {"up", "down"} else queryset


@admin.register(ReviewItem)
class ReviewItemAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "entered_at",
        "state",
        "outcome",
        "about",
        "language",
        "verdict_count",
        "priority",
        "decided_at",
    )
    list_filter = ("state", "outcome", ItemCardFilter, ItemVariantFilter, ThumbFilter, "is_suspicious", "is_gold")
    search_fields = ("id",)
    search_help_text = _("The number of an item, or the id of its submission or vote.")
    inlines = (ReviewInline,)
    raw_id_fields = ("submission", "vote", "duplicate_of", "claimed_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReviewItem]:
        return super().get_queryset(request).select_related("variant__card", "card")

    def found_by(self, term: str) -> Q:
        return Q(submission_id=term) | Q(vote_id=term) if is_uuid(term) else super().found_by(term)

    @admin.display(description=_("about"))
    def about(self, item: ReviewItem) -> str:
        if item.variant is not None:
            return item.variant.model_id
        return item.card.name if item.card is not None else item.target_kind


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "item", "reviewer", "kind", "verdict", "reason", "active_s", "superseded_by")
    list_filter = ("kind", "verdict", "superseded_by")
    list_select_related = ("item", "reviewer")
    ordering = ("-created_at", "-id")
    search_fields = ("id",)
    search_help_text = _("The number of an item, or a reviewer's user name.")
    raw_id_fields = ("item", "duplicate_of", "reviewer")

    def found_by(self, term: str) -> Q:
        number = _number(term)
        return Q(item_id=number) if number is not None else Q(reviewer__username=term)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "target", "target_id", "action", "told")
    list_filter = ("target", "action")
    search_fields = ("target_id",)
    search_help_text = _("The number or id of the thing that was changed, or the user name of who changed it.")

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        return (TargetFilter,)

    def found_by(self, term: str) -> Q:
        person = User.objects.filter(username=term).first()
        of_thing = Q(target_id=term[:40])
        return of_thing if person is None else of_thing | Q(actor_id=person.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        names = User.objects.filter(pk=OuterRef("actor_id")).values("username")
        named: QuerySet[Event] = super().get_queryset(request).annotate(actor_name=Subquery(names))
        return named

    @admin.display(description=_("who"))
    def who(self, event: Event) -> str:
        """The account's name; its number once it is deleted."""
        return getattr(event, "actor_name", None) or str(event.actor_id or "")

    @admin.display(description=_("what changed"))
    def told(self, event: Event) -> str:
        return " · ".join(f"{change.label}: {change.words}" for change in told_changes(event))


class TargetFilter(admin.SimpleListFilter):
    """The kinds that are recorded; asking a million rows which there are would cost more than the page."""

    title = _("kind of thing")
    parameter_name = "target"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, thing_name(kind)) for kind in TARGETS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(target=self.value()) if self.value() else queryset


@admin.register(ContributorRecord)
class ContributorRecordAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "given", "accepted", "rejected", "duplicates", "spam", "trust", "last_given_at")
    list_select_related = ("owner",)
    ordering = ("-id",)
    search_fields = ("owner__username",)
    raw_id_fields = ("owner",)

    def found_by(self, term: str) -> Q:
        return Q(visitor=term) if is_uuid(term) else Q(owner__username=term)


@admin.register(Inquiry)
class InquiryAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "item", "question", "answered_at")
    list_select_related = ("item",)
    ordering = ("-id",)
    search_fields = ("id",)
    raw_id_fields = ("item", "review")


@admin.register(Limitation)
class LimitationAdmin(ReadOnlyAdmin):
    list_display = ("title", "card", "severity", "state", "changed_at")
    list_filter = ("severity", "state")
    list_select_related = ("card",)
    search_fields = ("title",)

    def found_by(self, term: str) -> Q:
        return Q(pk=term) if is_uuid(term) else Q(title__icontains=term)


@admin.register(Block)
class BlockAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "owner", "visitor", "reason", "until", "lifted_at")
    list_select_related = ("owner",)
    raw_id_fields = ("owner",)


@admin.register(DailyCount, GoldItem, LimitationReport, NoMail, Notice, QueuePolicy, Replay, SavedView)
class PlainAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)


def _number(term: str) -> int | None:
    digits = term.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
