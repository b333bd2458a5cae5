"""Filters and pages of the admin's list of judgements, cheap however long it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import ModelCard, Variant
from portal.feedback import answer_quality
from portal.feedback.models import Answer, Submission

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


def _answered(key: str, **value: Any) -> Exists:
    return Exists(Answer.objects.filter(submission=OuterRef("pk"), question__key=key, **value))


def _row_key(text: str | None) -> int | None:
    """A primary key out of an address; None when it is none, or too large for any column."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS else None


class ThumbFilter(admin.SimpleListFilter):
    title = _("thumb")
    parameter_name = "thumb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return ((answer_quality.UP, _("Up")), (answer_quality.DOWN, _("Down")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        thumb = self.value()
        return queryset.filter(_answered(answer_quality.THUMB_KEY, choice=thumb)) if thumb else queryset


class RatingFilter(admin.SimpleListFilter):
    title = _("rating")
    parameter_name = "rating"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        scale = range(answer_quality.LOWEST_RATING, answer_quality.HIGHEST_RATING + 1)
        return [(str(number), str(number)) for number in scale] + [("none", _("No rating"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        rating = self.value()
        if rating == "none":
            return queryset.filter(~_answered(answer_quality.HELPFULNESS_KEY))
        if rating not in {choice for choice, _text in self.lookup_choices}:
            return queryset
        return queryset.filter(_answered(answer_quality.HELPFULNESS_KEY, number=int(rating)))


class CardFilter(admin.SimpleListFilter):
    title = _("card")
    parameter_name = "card"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        cards = ModelCard.objects.order_by("owner_name", "slug")[:FILTER_ROWS]
        return [(str(card.pk), card.name) for card in cards]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        key = _row_key(self.value())
        return queryset if key is None else queryset.filter(generation__variant__card_id=key)


class VariantFilter(admin.SimpleListFilter):
    title = _("variant")
    parameter_name = "variant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        variants = Variant.objects.select_related("card").order_by("card__owner_name", "card__slug", "position")
        return [(str(variant.pk), variant.model_id) for variant in variants[:FILTER_ROWS]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        key = _row_key(self.value())
        return queryset if key is None else queryset.filter(generation__variant_id=key)


class WithdrawnFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("live", _("Live")), ("withdrawn", _("Withdrawn")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Submission]) -> QuerySet[Submission]:
        match self.value():
            case "live":
                return queryset.filter(withdrawn_at=None)
            case "withdrawn":
                return queryset.exclude(withdrawn_at=None)
            case _:
                return queryset
