"""Make questionnaires: a draft is changed in steps and published as a version, which is never rewritten.

Every step carries the draft's revision that it is based on; one that is based on an older revision changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.feedback.question_options import MAX_QUESTIONS, asks_about_text, broken_condition, options_of
from portal.feedback.wording import texts_of

MAX_TRANSLATION_CHARACTERS: Final = 10_000
_COPIED: Final = ("title", "intro", "language", "translations", "on_answers", "on_comparisons", "on_cards")
_COPIED_OF_QUESTION: Final = (
    "key", "kind", "label", "help", "options", "show_if", "is_required", "position", "translations",
)  # fmt: skip


class DraftConflict(Exception):
    """Somebody else changed, published or discarded the draft since it was read."""


@dataclass(frozen=True, slots=True)
class QuestionValues:
    """What the editor says about a question; `fields` are those of its kind."""

    key: str
    label: str
    help: str
    is_required: bool
    show_if: dict[str, Any]
    fields: Mapping[str, Any]


def start_questionnaire(author: User, slug: str, title: str) -> Questionnaire:
    """The draft of a new questionnaire's first version. Raises ValidationError when there is one of this name."""
    try:
        with transaction.atomic():
            return Questionnaire.objects.create(slug=slug, title=title, author=author, on_answers=False)
    except IntegrityError:
        raise ValidationError({"slug": _("There is a questionnaire of this name.")}) from None


def open_draft(author: User, published: Questionnaire) -> Questionnaire:
    """The draft of the next version: the one there is, whoever began it, or a copy of `published`."""
    with transaction.atomic():
        # Holding the newest version, two who begin at once get the same draft.
        newest = Questionnaire.objects.select_for_update().filter(slug=published.slug).order_by("-version")[0]
        if newest.is_draft:
            return newest
        draft = Questionnaire.objects.create(
            slug=newest.slug,
            version=newest.version + 1,
            author=author,
            **{column: getattr(published, column) for column in _COPIED},
        )
        Question.objects.bulk_create(
            Question(questionnaire=draft, **{column: getattr(question, column) for column in _COPIED_OF_QUESTION})
            for question in published.questions.all()
        )
    return draft


def change_settings(draft: Questionnaire, values: Mapping[str, Any]) -> None:
    """Title, introduction, language, and what it may be asked about. Raises DraftConflict."""
    with transaction.atomic():
        _advance(draft)
        Questionnaire.objects.filter(pk=draft.pk).update(**values)


def save_question(
    draft: Questionnaire, kind: QuestionKind, before: Question | None, values: QuestionValues
) -> Question:
    """Add a question at the end, or change one. Raises DraftConflict, and ValidationError by the editor's fields."""
    options = options_of(kind, values.fields)
    with transaction.atomic():
        _advance(draft)
        questions = list(draft.questions.all())
        if before is None and len(questions) >= MAX_QUESTIONS:
            raise ValidationError(_("A questionnaire has at most %d questions.") % MAX_QUESTIONS)
        if any(each.key == values.key and (before is None or each.pk != before.pk) for each in questions):
            raise ValidationError({"key": _("Another question has this key.")})
        question = before or Question(questionnaire=draft, kind=kind, position=len(questions))
        question.key, question.label, question.help = values.key, values.label, values.help
        question.is_required, question.show_if, question.options = values.is_required, values.show_if, options
        others = [question if before is not None and each.pk == before.pk else each for each in questions]
        _require_askable([*others, question] if before is None else others, "condition")
        question.save()
    return question


def move_question(draft: Questionnaire, key: str, direction: Literal["up", "down"]) -> None:
    """Swap with the neighbour. Raises DraftConflict, and ValidationError where a condition would look down."""
    with transaction.atomic():
        _advance(draft)
        questions = list(draft.questions.all())
        place = next((index for index, each in enumerate(questions) if each.key == key), None)
        other = None if place is None else place + (1 if direction == "down" else -1)
        if place is None or other is None or not 0 <= other < len(questions):
            return
        questions[place], questions[other] = questions[other], questions[place]
        _require_askable(questions)
        _number(questions)


def remove_question(draft: Questionnaire, key: str) -> None:
    """Raises DraftConflict, and ValidationError while another question depends on this one."""
    with transaction.atomic():
        _advance(draft)
        remaining = [each for each in draft.questions.all() if each.key != key]
        _require_askable(remaining)
        draft.questions.filter(key=key).delete()
        _number(remaining)


def save_translations(draft: Questionnaire, language: str, texts: Mapping[str, str]) -> None:
    """Replace the texts in `language`; `texts` is by the names of `texts_of`, and an empty one falls back.

    Raises DraftConflict, and ValidationError for a text that is too long.
    """
    known = texts_of(draft, language)
    for text in known:
        if len(texts.get(text.name, "")) > MAX_TRANSLATION_CHARACTERS:
            message = _("Must have at most %(limit)d characters.") % {"limit": MAX_TRANSLATION_CHARACTERS}
            raise ValidationError({text.name: message})
    with transaction.atomic():
        _advance(draft)
        translatable: list[Questionnaire | Question] = [draft, *draft.questions.all()]
        for translated in translatable:
            own = [text for text in known if (text.question or draft) == translated]
            said = {text.path: texts[text.name].strip() for text in own if texts.get(text.name, "").strip()}
            translated.translations = {**translated.translations, language: said}
            if not said:
                del translated.translations[language]
            translated.save(update_fields=["translations"])


def publish_draft(draft: Questionnaire) -> None:
    """The draft is what is asked from now on. Raises DraftConflict, and ValidationError where it cannot be asked."""
    with transaction.atomic():
        questions = list(draft.questions.all())
        if not questions:
            raise ValidationError(_("A questionnaire needs at least one question."))
        _require_askable(questions)
        if asks_about_text(questions) and (draft.on_comparisons or draft.on_cards or not draft.on_answers):
            raise ValidationError(
                _("Marks, corrections and better tokens need an answer: ask this one about answers alone.")
            )
        if not draft.publish(timezone.now()):
            raise DraftConflict


def discard_draft(draft: Questionnaire) -> None:
    """Raises DraftConflict when it was changed or published since it was read."""
    with transaction.atomic():
        _advance(draft)
        draft.delete()


def _advance(draft: Questionnaire) -> None:
    if not draft.advance():
        raise DraftConflict


def _require_askable(questions: list[Question], field: str = "") -> None:
    reason = broken_condition(questions)
    if reason:
        raise ValidationError({field: reason} if field else reason)


def _number(questions: list[Question]) -> None:
    for position, question in enumerate(questions):
        question.position = position
    Question.objects.bulk_update(questions, ["position"])
