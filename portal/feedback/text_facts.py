"""What is noted about the words of a submission: their language, and a digest that copies share. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from portal.arena.written_language import LEAST_LETTERS as LEAST_LETTERS_OF_A_LANGUAGE
from portal.arena.written_language import letters_in, written_language
from portal.feedback.models import Question, QuestionKind

# Fewer letters than this say too little of who wrote them first.
LEAST_LETTERS: Final = 20


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
    """ISO 639-1 of the words, or `und` where it cannot be told; `otherwise` for too few to ask."""
    return otherwise if letters_in(words) < LEAST_LETTERS_OF_A_LANGUAGE else written_language(words)


def copy_digest(words: str) -> str:
    """The same for texts that differ in case, spaces and punctuation alone; empty for too few words."""
    if letters_in(words) < LEAST_LETTERS:
        return ""
    bare = "".join(character for character in words.casefold() if character.isalnum())
    return hashlib.sha256(bare.encode()).hexdigest()


def output_digest(output: str) -> str:
    """SHA-256 of an answer as it was shown."""
    return hashlib.sha256(output.encode("utf-8", "surrogatepass")).hexdigest()


def columns_of(accepted: Iterable[tuple[Question, Any]], page_language: str) -> Mapping[str, str]:
    """The columns of a submission that its words decide."""
    words = own_words(accepted)
    return {"language": language_of(words, page_language), "text_digest": copy_digest(words)}
