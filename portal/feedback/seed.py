"""The questionnaires and the campaign that an installation starts with, brought up to date with what comes along."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from portal.feedback.models import Campaign, Question, Questionnaire
from portal.feedback.shipped import NEXT_OPEN_MODEL, NEXT_OPEN_MODEL_CAMPAIGN, QUESTIONNAIRES, Shipped

_COLUMNS: Final = {"kind": "", "label": "", "help": "", "options": {}, "show_if": {}, "is_required": False}


def seed_questionnaires() -> bool:
    """Make what is missing, and the next version of what has changed since it came along; says whether it did.

    Maintainers may have made later versions, so what a person made is left as it is.
    """
    with transaction.atomic():
        changed = [_seed(shipped) for shipped in QUESTIONNAIRES]
        return any([*changed, _seed_campaign()])


def _seed(shipped: Shipped) -> bool:
    newest = Questionnaire.objects.filter(slug=shipped.slug).order_by("-version").first()
    if newest is not None and (newest.author_id is not None or newest.is_draft or _asks(newest) == _wanted(shipped)):
        return False
    questionnaire = Questionnaire.objects.create(
        slug=shipped.slug,
        version=newest.version + 1 if newest is not None else 1,
        title=newest.title if newest is not None else shipped.title,
        intro=shipped.intro,
        **shipped.asked_about,
    )
    Question.objects.bulk_create(
        Question(questionnaire=questionnaire, position=position, **question)
        for position, question in enumerate(shipped.questions)
    )
    return questionnaire.publish(timezone.now())


def _asks(questionnaire: Questionnaire) -> list[dict[str, Any]]:
    return list(questionnaire.questions.values("key", *_COLUMNS))


def _wanted(shipped: Shipped) -> list[dict[str, Any]]:
    return [{**_COLUMNS, **question} for question in shipped.questions]


def _seed_campaign() -> bool:
    questionnaire = Questionnaire.objects.get(slug=NEXT_OPEN_MODEL.slug, is_current=True)
    _campaign, is_new = Campaign.objects.get_or_create(
        slug=NEXT_OPEN_MODEL_CAMPAIGN["slug"],
        defaults={**NEXT_OPEN_MODEL_CAMPAIGN, "questionnaire": questionnaire, "is_published": True},
    )
    return is_new
