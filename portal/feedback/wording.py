"""A questionnaire's texts in a reader's language. Where a translation is missing, the text is as it was written.

Translations are kept beside what they translate: {language: {path: text}}, where a path is `label`, `help`, or a part
of the options such as `choices.correct` or `anchors.1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.translation import get_language, gettext

from portal.feedback.models import Question, Questionnaire

# Languages that texts can be written in, each by its own name; ISO 639-1.
LANGUAGE_NAMES: Final = {
    "ar": "العربية",
    "bg": "Български",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "el": "Ελληνικά",
    "en": "English",
    "es": "Español",
    "et": "Eesti",
    "fa": "فارسی",
    "fi": "Suomi",
    "fr": "Français",
    "he": "עברית",
    "hi": "हिन्दी",
    "hu": "Magyar",
    "id": "Bahasa Indonesia",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "lt": "Lietuvių",
    "lv": "Latviešu",
    "nl": "Nederlands",
    "no": "Norsk",
    "pl": "Polski",
    "pt": "Português",
    "ro": "Română",
    "ru": "Русский",
    "sk": "Slovenčina",
    "sl": "Slovenščina",
    "sv": "Svenska",
    "sw": "Kiswahili",
    "th": "ไทย",
    "tr": "Türkçe",
    "uk": "Українська",
    "vi": "Tiếng Việt",
    "zh": "中文",
}
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he"})
_LISTS: Final = ("choices", "rows", "columns")


def page_language() -> str:
    """The language of the page, without its region."""
    return (get_language() or "en").partition("-")[0]


def wording(translated: Question | Questionnaire, path: str, source: str, language: str = "") -> str:
    """The text at `path` in `language` (the page's unless given), or as it was written."""
    if not source:
        return ""
    found = translated.translations.get(language or page_language(), {}).get(path)
    # What ships is written where it can be marked for translation.
    return str(found) if found else gettext(source)


def available_languages(questionnaire: Questionnaire) -> list[str]:
    """The language it was written in, then those that something of it was translated into."""
    others = {language for language, texts in questionnaire.translations.items() if texts}
    for question in questionnaire.questions.all():
        others |= {language for language, texts in question.translations.items() if texts}
    return [questionnaire.language, *sorted(others - {questionnaire.language})]


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a questionnaire: where it is kept, what it says, and in the other language, if it is there."""

    question: Question | None
    path: str
    source: str
    translation: str

    @property
    def name(self) -> str:
        """What a form calls it."""
        return f"{self.question.key if self.question else ''}.{self.path}"

    @property
    def is_long(self) -> bool:
        return self.path in {"intro", "help"}


def texts_of(questionnaire: Questionnaire, language: str) -> list[Text]:
    """Everything that people read, in order."""
    texts = [_text(questionnaire, path, getattr(questionnaire, path), language) for path in ("title", "intro")]
    for question in questionnaire.questions.all():
        texts += [_text(question, path, source, language) for path, source in _sources(question)]
    return [text for text in texts if text.source]


def _sources(question: Question) -> Iterator[tuple[str, str]]:
    yield "label", question.label
    yield "help", question.help
    for name in _LISTS:
        for choice in question.options.get(name, ()):
            yield f"{name}.{choice['key']}", choice["label"]
    for number, anchor in question.options.get("anchors", {}).items():
        yield f"anchors.{number}", anchor
    yield "unit", question.options.get("unit", "")


def _text(translated: Question | Questionnaire, path: str, source: str, language: str) -> Text:
    question = translated if isinstance(translated, Question) else None
    return Text(question, path, source, translated.translations.get(language, {}).get(path, ""))
