"""Filters of the admin's list of judgements, cheap however long it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.catalog.admin_list import CardFilter, VariantFilter
from portal.feedback import answer_quality
from portal.feedback.models import Answer, Submission


def _answered(key: str, **value: Any) -> Exists:
    return Exists(Answer.objects.filter(submission=OuterRef("pk"), question__key=key, **value))


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


class JudgedCardFilter(CardFilter):
    path = "card_id"


class JudgedVariantFilter(VariantFilter):
    path = "variant_id"


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
