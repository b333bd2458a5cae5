"""Which language a text is in, by py3langid; and that it cannot be told, where a text is short or like several."""

from __future__ import annotations

import threading
from typing import Any, Final

UNKNOWN_LANGUAGE: Final = "und"
# Below these the classifier guesses.
LEAST_LETTERS: Final = 16
# Of normalised probabilities: likelier than all other languages together.
LEAST_PROBABILITY: Final = 0.5

# What is not written in any language, as code is not.
_NO_LANGUAGE: Final = "zxx"
_LOADING: Final = threading.Lock()
_loaded: list[Any] = []


def letters_in(text: str) -> int:
    return sum(character.isalpha() for character in text)


def written_language(text: str) -> str:
    """An ISO 639-1 code, or `und` where the text is too short or the classifier not sure."""
    if letters_in(text) < LEAST_LETTERS:
        return UNKNOWN_LANGUAGE
    language, probability = _identifier().classify(text)
    is_told = probability >= LEAST_PROBABILITY and language != _NO_LANGUAGE
    return str(language) if is_told else UNKNOWN_LANGUAGE


def load_languages() -> None:
    """Have what `written_language` needs at hand, so that no transaction waits the second that unpacking it takes.

    A web process does so when it starts.
    """
    _identifier()


def _identifier() -> Any:
    with _LOADING:
        if not _loaded:
            # 0.8 s and 60 MB that workers and commands need not spend.
            from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

            identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            # Of the others many are near a larger one: Nigerian Pidgin takes short English from English.
            identifier.set_languages([each for each in identifier.labels if len(each) == 2 or each == _NO_LANGUAGE])
            _loaded.append(identifier)
        return _loaded[0]
