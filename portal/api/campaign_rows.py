"""Campaigns and their results as the API tells and takes them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.api.questionnaire_rows import SLUG, StrictBooleanField, StrictChoiceField
from portal.api.row_answers import members_of
from portal.api.serializers import (
    MAX_VERSION,
    StrictIntegerField,
    StrictPatternField,
    StrictSerializer,
    StrictTextField,
)
from portal.exports.rows import iso_utc
from portal.feedback.campaign_crossing import CrossTable
from portal.feedback.campaign_results import Bar, BarGroup, CampaignResults, QuestionResult
from portal.feedback.intervals import Mean
from portal.feedback.models import Campaign, QuestionKind
from portal.feedback.models.campaign import ResultsShown

_MOMENT: Final = _("A time with its offset, as 2026-05-01T12:00:00Z.")


class StrictMomentField(serializers.DateTimeField):
    """A text that names a time; DRF's also takes other types."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", format="2026-05-01T12:00:00Z")
        return super().to_internal_value(data)


class CampaignRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A public appeal to answer one questionnaire."""

    slug = serializers.CharField()
    version = serializers.IntegerField(min_value=1, help_text=_("Rises with every change."))
    title = serializers.CharField()
    summary = serializers.CharField(allow_blank=True)
    appeal = serializers.CharField(allow_blank=True, help_text=_("Markdown."))
    thanks = serializers.CharField(allow_blank=True, help_text=_("Markdown."))
    questionnaire = serializers.CharField()
    questionnaire_version = serializers.IntegerField(min_value=1)
    opens_at = serializers.DateTimeField()
    closes_at = serializers.DateTimeField(allow_null=True, help_text=_("Null: it stays open."))
    goal = serializers.IntegerField(allow_null=True)
    allows_anonymous = serializers.BooleanField()
    is_once = serializers.BooleanField(help_text=_("Whether a person answers once, and a second time changes that."))
    results_shown = serializers.ChoiceField(choices=ResultsShown.values)
    is_published = serializers.BooleanField()
    is_open = serializers.BooleanField(help_text=_("Whether it takes answers now."))
    count = serializers.IntegerField(help_text=_("How many took part and did not take it back."))
    page = serializers.CharField()


MEMBERS: Final = members_of(CampaignRowSerializer)


class ChangeCampaignSerializer(StrictSerializer):
    """What is not named stays."""

    title = StrictTextField(max_length=200, required=False)
    slug = StrictPatternField(SLUG, max_length=80, required=False, help_text=_("Its name in addresses."))
    summary = StrictTextField(max_length=300, allow_blank=True, required=False)
    appeal = StrictTextField(allow_blank=True, required=False, help_text=_("Markdown."))
    thanks = StrictTextField(allow_blank=True, required=False, help_text=_("Markdown."))
    questionnaire = StrictPatternField(SLUG, max_length=80, required=False)
    questionnaire_version = StrictIntegerField(
        min_value=1, max_value=MAX_VERSION, required=False, help_text=_("The one that is asked now, when left out.")
    )
    opens_at = StrictMomentField(required=False, help_text=_MOMENT)
    closes_at = StrictMomentField(required=False, allow_null=True, help_text=_MOMENT)
    goal = StrictIntegerField(min_value=1, max_value=MAX_VERSION, required=False, allow_null=True)
    allows_anonymous = StrictBooleanField(required=False)
    is_once = StrictBooleanField(required=False)
    results_shown = StrictChoiceField(choices=ResultsShown.values, required=False)
    is_published = StrictBooleanField(required=False)


class NewCampaignSerializer(ChangeCampaignSerializer):
    """What is left out is as on the page: open from now on, for everybody, once per person, not published."""

    title = StrictTextField(max_length=200)
    slug = StrictPatternField(SLUG, max_length=80, help_text=_("Its name in addresses."))
    questionnaire = StrictPatternField(SLUG, max_length=80)


class BarSerializer(serializers.Serializer):  # type: ignore[type-arg]
    key = serializers.CharField()
    # Named as the results name it, although a serializer has a label of its own; this one only describes.
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    count = serializers.IntegerField()
    share = serializers.FloatField(help_text=_("Of n, 0 to 1."))
    low = serializers.FloatField(help_text=_("Wilson's interval, 95 %."))
    high = serializers.FloatField()


class BarGroupSerializer(serializers.Serializer):  # type: ignore[type-arg]
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    n = serializers.IntegerField()
    bars = BarSerializer(many=True)


class MeanSerializer(serializers.Serializer):  # type: ignore[type-arg]
    value = serializers.FloatField()
    n = serializers.IntegerField()
    low = serializers.FloatField(allow_null=True, help_text=_("Bootstrap interval, 95 %; null for fewer than two."))
    high = serializers.FloatField(allow_null=True)


class RankedSerializer(serializers.Serializer):  # type: ignore[type-arg]
    label = serializers.CharField()  # type: ignore[assignment]
    mean = MeanSerializer(help_text=_("Mean place; 1 is the best."))


class QuestionResultSerializer(serializers.Serializer):  # type: ignore[type-arg]
    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=QuestionKind.values)
    label = serializers.CharField()  # type: ignore[assignment]
    n = serializers.IntegerField(help_text=_("How many answered it."))
    unit = serializers.CharField(allow_blank=True)
    groups = BarGroupSerializer(many=True, help_text=_("Of a matrix one for each row."))
    mean = MeanSerializer(allow_null=True)
    median = serializers.FloatField(allow_null=True)
    ranked = RankedSerializer(many=True)
    quotes = serializers.ListField(child=serializers.CharField(), help_text=_("Of those who agreed to be quoted."))


class CrossTableSerializer(serializers.Serializer):  # type: ignore[type-arg]
    row = serializers.CharField(help_text=_("A question's key."))
    column = serializers.CharField()
    rows = BarGroupSerializer(many=True, help_text=_("For each answer to row, how many said what to column."))


class CampaignResultsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    n = serializers.IntegerField(help_text=_("Submissions that count."))
    left_out = serializers.IntegerField(help_text=_("Submissions that reviewers took out."))
    questions = QuestionResultSerializer(many=True)
    crossed = CrossTableSerializer(allow_null=True)


EXAMPLE: Final = {
    "slug": "first-impressions",
    "version": 2,
    "title": "First impressions",
    "summary": "Five questions, two minutes.",
    "appeal": "Tell us how it went.",
    "thanks": "Thank you.",
    "questionnaire": "first-impressions",
    "questionnaire_version": 1,
    "opens_at": "2026-05-01T12:00:00.000000Z",
    "closes_at": None,
    "goal": 100,
    "allows_anonymous": True,
    "is_once": True,
    "results_shown": "always",
    "is_published": True,
    "is_open": True,
    "count": 42,
    "page": "/feedback/campaigns/first-impressions/",
}
_BAR: Final = {"key": "yes", "label": "Yes", "count": 30, "share": 0.75, "low": 0.598, "high": 0.858}
EXAMPLE_RESULTS: Final = {
    "n": 42,
    "left_out": 1,
    "questions": [
        {
            "key": "again",
            "kind": "yes_no",
            "label": "Would you use it again?",
            "n": 40,
            "unit": "",
            "groups": [{"label": "", "n": 40, "bars": [_BAR]}],
            "mean": None,
            "median": None,
            "ranked": [],
            "quotes": [],
        }
    ],
    "crossed": None,
}


def campaign_row(campaign: Campaign, count: int) -> dict[str, Any]:
    """A campaign of which `count` took part."""
    now = timezone.now()
    return {
        "slug": campaign.slug,
        "version": campaign.version,
        "title": campaign.title,
        "summary": campaign.summary,
        "appeal": campaign.appeal,
        "thanks": campaign.thanks,
        "questionnaire": campaign.questionnaire.slug,
        "questionnaire_version": campaign.questionnaire.version,
        "opens_at": iso_utc(campaign.opens_at),
        "closes_at": iso_utc(campaign.closes_at) if campaign.closes_at is not None else None,
        "goal": campaign.goal,
        "allows_anonymous": campaign.allows_anonymous,
        "is_once": campaign.is_once,
        "results_shown": campaign.results_shown,
        "is_published": campaign.is_published,
        "is_open": campaign.is_open(now),
        "count": count,
        "page": campaign.get_absolute_url(),
    }


def results_row(results: CampaignResults, crossed: CrossTable | None) -> dict[str, Any]:
    """What the results page shows."""
    return {
        "n": results.n,
        "left_out": results.left_out,
        "questions": [_question(each) for each in results.questions],
        "crossed": _crossed(crossed) if crossed is not None else None,
    }


def _crossed(crossed: CrossTable) -> dict[str, Any]:
    rows = [{"label": row.label, "n": row.n, "bars": [_bar(bar) for bar in row.bars]} for row in crossed.rows]
    return {"row": crossed.row.key, "column": crossed.column.key, "rows": rows}


def _question(result: QuestionResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "kind": result.kind,
        "label": result.label,
        "n": result.n,
        "unit": result.unit,
        "groups": [_group(group) for group in result.groups],
        "mean": _mean(result.mean) if result.mean is not None else None,
        "median": result.median,
        "ranked": [{"label": each.label, "mean": _mean(each.mean)} for each in result.ranked],
        "quotes": list(result.quotes),
    }


def _group(group: BarGroup) -> dict[str, Any]:
    return {"label": group.label, "n": group.n, "bars": [_bar(bar) for bar in group.bars]}


def _bar(bar: Bar) -> dict[str, Any]:
    shares = {"share": bar.share, "low": bar.interval.low, "high": bar.interval.high}
    return {"key": bar.key, "label": bar.label, "count": bar.count, **shares}


def _mean(mean: Mean) -> dict[str, Any]:
    interval = mean.interval
    bounds = (interval.low, interval.high) if interval is not None else (None, None)
    return {"value": mean.value, "n": mean.n, "low": bounds[0], "high": bounds[1]}
