"""What long lists in the admin share: pages without a full count, and filters by card and variant."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import ModelCard, Variant

COUNTED_ROWS: Final = 10_000
FILTER_ROWS: Final = 200
MAX_KEY_DIGITS: Final = 18


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than COUNTED_ROWS: a full count of a long table costs more than all else on the page."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return rows.order_by()[:COUNTED_ROWS].count()

    @property
    def is_bounded(self) -> bool:
        """Whether there may be more rows than pages."""
        return self.count == COUNTED_ROWS


def _row_key(text: str | None) -> int | None:
    """A primary key out of an address; None when it is none, or too large for any column."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS else None


class CardFilter(admin.SimpleListFilter):
    """By card; `path` leads from the listed rows to their variant's card."""

    title = _("card")
    parameter_name = "card"
    path = "variant__card_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        cards = ModelCard.objects.order_by("owner_name", "slug")[:FILTER_ROWS]
        return [(str(card.pk), card.name) for card in cards]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = _row_key(self.value())
        return queryset if key is None else queryset.filter(**{self.path: key})


class VariantFilter(admin.SimpleListFilter):
    """By variant; `path` leads from the listed rows to it."""

    title = _("variant")
    parameter_name = "variant"
    path = "variant_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        variants = Variant.objects.select_related("card").order_by("card__owner_name", "card__slug", "position")
        return [(str(variant.pk), variant.model_id) for variant in variants[:FILTER_ROWS]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = _row_key(self.value())
        return queryset if key is None else queryset.filter(**{self.path: key})
