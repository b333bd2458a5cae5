"""Where maintainers keep cards, read their history and see the variants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.catalog.forms import CardForm
from portal.catalog.models import CardRevision, ModelCard, Variant
from portal.catalog.number_formats import NUMBER_FORMATS, NoSuchFormat, offer_number_format
from portal.catalog.services import publish_revision


@admin.register(ModelCard)
class ModelCardAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Saving a changed text publishes a revision; the earlier ones stay."""

    form = CardForm
    list_display = ["name", "title", "is_published", "current_number", "updated_at"]
    list_filter = ["is_published", "gate"]
    search_fields = ["owner_name", "slug", "title", "summary"]
    list_select_related = ["current_revision"]
    fieldsets = [
        (None, {"fields": ["owner_name", "slug", "title", "summary", "is_published", "gate"]}),
        (_("Text"), {"fields": ["text", "note", "based_on"]}),
    ]

    @admin.display(description=_("revision"))
    def current_number(self, card: ModelCard) -> int | None:
        return card.current_revision.number if card.current_revision else None

    def view_on_site(self, obj: ModelCard) -> str:
        return obj.get_absolute_url()

    def save_model(self, request: HttpRequest, obj: ModelCard, form: CardForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.changed_text:
            assert isinstance(request.user, User)
            publish_revision(obj, form.cleaned_data["text"], request.user, form.cleaned_data["note"])


@admin.register(CardRevision)
class CardRevisionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """History is read here, never written."""

    list_display = ["card", "number", "author", "note", "created_at"]
    list_filter = ["created_at"]
    search_fields = ["card__owner_name", "card__slug", "note"]
    list_select_related = ["card", "author"]
    fields = ("card", "number", "author", "note", "created_at", "sha256", "metadata", "written_text")
    readonly_fields = ("card", "number", "author", "note", "created_at", "sha256", "metadata", "written_text")

    @admin.display(description=_("text"))
    def written_text(self, revision: CardRevision) -> SafeString:
        return format_html("<pre>{}</pre>", revision.text)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CardRevision]:
        revisions = super().get_queryset(request)
        on_list = (
            request.resolver_match is not None and request.resolver_match.url_name == "catalog_cardrevision_changelist"
        )
        return revisions.defer("text") if on_list else revisions

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Variant)
class VariantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What was read from the weights cannot be typed over."""

    list_display = ["card", "slug", "backend", "dtype", "quantisation", "is_runnable", "queue"]
    list_display_links = ["slug"]
    list_filter = ["backend", "is_runnable"]
    search_fields = ["slug", "card__owner_name", "card__slug"]
    list_select_related = ["card"]
    autocomplete_fields = ["card", "base"]
    fieldsets = [
        (None, {"fields": ["card", "slug", "relation", "base", "position", "is_runnable"]}),
        (_("How it runs"), {"fields": ["backend", "source", "format", "dtype", "queue", "defaults"]}),
        (_("Read from the weights"), {"fields": ["quantisation", "facts", "digests"]}),
    ]
    readonly_fields = ["quantisation", "facts", "digests"]
    actions = ["offer_in_fewer_bits"]

    @admin.action(description=_("Offer also in fewer bits (int8 and int4)"), permissions=["change"])
    def offer_in_fewer_bits(self, request: HttpRequest, variants: QuerySet[Variant]) -> None:
        for variant in variants.select_related("card", "base"):
            for number_format in NUMBER_FORMATS:
                try:
                    offered, created = offer_number_format(variant, number_format)
                except NoSuchFormat as error:
                    self.message_user(request, str(error), messages.ERROR)
                    break
                words = _("Offered: %s.") if created else _("Offered already: %s.")
                self.message_user(request, words % offered.model_id, messages.SUCCESS)
