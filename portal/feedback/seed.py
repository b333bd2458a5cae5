"""The questionnaires that an installation starts with."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from portal.feedback import answer_quality
from portal.feedback.models import Question, Questionnaire


def seed_questionnaires() -> bool:
    """Make the answer-quality questionnaire unless there is one; says whether it did.

    Maintainers may have made later versions, so what exists is left as it is.
    """
    with transaction.atomic():
        questionnaire, is_new = Questionnaire.objects.get_or_create(
            slug=answer_quality.SLUG,
            version=1,
            defaults={
                "title": answer_quality.TITLE,
                "on_answers": True,
                "is_current": True,
                "published_at": timezone.now(),
            },
        )
        if is_new:
            Question.objects.bulk_create(
                Question(questionnaire=questionnaire, position=position, **question)
                for position, question in enumerate(answer_quality.QUESTIONS)
            )
    return is_new
