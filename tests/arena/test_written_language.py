"""The language of short everyday sentences: the right one or none, and never a neighbour's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.arena.written_language import LEAST_LETTERS, UNKNOWN_LANGUAGE, letters_in, written_language
from portal.feedback.text_facts import language_of

SENTENCES = {
    "en": [
        "The second sentence is wrong.",
        "This is not what I asked for.",
        "Good answer, thank you.",
        "The answer is too long.",
        "I like how short it is.",
        "No comment on this one",
        "Very helpful and clear",
        "What I say about answer three.",
        "Wrong capital, it should be Canberra.",
        "THE CODE DOES NOT RUN AT ALL",
    ],
    "de": ["Die Antwort ist falsch.", "Das war nicht meine Frage.", "Gute Antwort, danke schön."],
    "fr": ["La réponse est fausse.", "Ce n'est pas ce que j'ai demandé.", "Elle ne cite aucune source."],
    "es": ["La respuesta es incorrecta.", "No es lo que pregunté.", "Muy buena respuesta, gracias."],
    "it": ["La risposta è sbagliata.", "Non è quello che ho chiesto.", "Ottima risposta, grazie mille."],
    "nl": ["Dat heb ik niet gevraagd.", "Heel goed antwoord, dank je wel."],
    "pl": ["Odpowiedź jest błędna.", "Bardzo dobra odpowiedź, dziękuję."],
    "sv": ["Svaret är fel och för långt.", "Det var inte det jag frågade om."],
    "cs": ["Odpověď je špatná a příliš dlouhá."],
    "tr": ["Bu cevap çok uzun ve yersiz."],
    "ru": ["Это не то, что я спросил."],
    "uk": ["Відповідь неправильна."],
    "hu": ["A válasz hibás és túl hosszú."],
    "fi": ["Vastaus on väärä ja liian pitkä."],
    "el": ["δεν είναι αυτό που ρώτησα."],
    "ar": ["الإجابة خاطئة وطويلة جدا"],
    "vi": ["Câu trả lời sai và quá dài."],
    "ja": ["答えが間違っていますし、長すぎます。"],
}
# Short sentences that two languages have nearly in the same words.
IN_BETWEEN = {
    "A resposta está errada.": {"pt", "gl"},
    "Svaret er forkert og for langt.": {"da", "no", "nn"},
    "Svaret er feil og altfor langt.": {"no", "nn"},
    "Jawabannya salah dan terlalu panjang.": {"id", "ms"},
    "It names no source at all.": {"en"},
}


@pytest.mark.parametrize(("language", "text"), [(code, text) for code, texts in SENTENCES.items() for text in texts])
def test_an_everyday_sentence_is_in_its_language(language: str, text: str) -> None:
    assert written_language(text) == language


@pytest.mark.parametrize("text", IN_BETWEEN)
def test_what_may_be_either_is_one_of_them_or_not_told(text: str) -> None:
    assert written_language(text) in IN_BETWEEN[text] | {UNKNOWN_LANGUAGE}


@pytest.mark.parametrize("text", ["", "ok", "👍👍👍👍👍", "12345 67890 12345 67890", "x = [f(i) for i in range(9)]"])
def test_what_is_in_no_language_is_in_none(text: str) -> None:
    assert written_language(text) == UNKNOWN_LANGUAGE
    assert language_of(text, otherwise="de") in {"de", UNKNOWN_LANGUAGE}


@given(st.text(max_size=200))
def test_any_text_has_a_code_of_two_letters_or_none(text: str) -> None:
    found = written_language(text)
    assert found == UNKNOWN_LANGUAGE or (len(found) == 2 and letters_in(text) >= LEAST_LETTERS)
    assert language_of(text, otherwise="??") == ("??" if letters_in(text) < LEAST_LETTERS else found)
