"""What is noted about the words of a submission: their language, and a digest that copies share. Pure."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from portal.feedback.models import Question, QuestionKind

# Fewer letters than this say too little, of their language as of who wrote them first.
LEAST_LETTERS: Final = 20
_IDENTIFYING: Final = threading.Lock()


def own_words(accepted: Iterable[tuple[Question, Any]]) -> str:
    """What the person wrote themselves; a corrected answer is mostly the model's."""
    words: list[str] = []
    for question, value in accepted:
        if question.kind == QuestionKind.TEXT:
            words.append(value)
        elif question.kind == QuestionKind.SPANS:
            words += [mark["note"] for mark in value if mark["note"]]
    return "\n".join(words)


def language_of(words: str, otherwise: str) -> str:
    """ISO 639-1 of the words; `otherwise` for too few."""
    if _letters(words) < LEAST_LETTERS:
        return otherwise
    # It unpacks its model at its first use, which takes half a second and is not for two threads at once.
    with _IDENTIFYING:
        import py3langid  # noqa: PLC0415  0.1 s and 60 MB that a process without submissions need not spend

        code: str = py3langid.classify(words)[0]
    return code


def copy_digest(words: str) -> str:
    """The same for texts that differ in case, spaces and punctuation alone; empty for too few words."""
    if _letters(words) < LEAST_LETTERS:
        return ""
    bare = "".join(character for character in words.casefold() if character.isalnum())
    return hashlib.sha256(bare.encode()).hexdigest()


def output_digest(output: str) -> str:
    """SHA-256 of an answer as it was shown."""
    return hashlib.sha256(output.encode("utf-8", "surrogatepass")).hexdigest()


def _letters(words: str) -> int:
    return sum(character.isalpha() for character in words)


def columns_of(accepted: Iterable[tuple[Question, Any]], page_language: str) -> Mapping[str, str]:
    """The columns of a submission that its words decide."""
    words = own_words(accepted)
    return {"language": language_of(words, page_language), "text_digest": copy_digest(words)}
