"""Which texts count as alike: copies with small changes share a band, different ones are told apart."""

from __future__ import annotations

import random

import pytest

from portal.reviews.text_similarity import clusters, jaccard, shingles, text_bands, tf_idf

REPORT = (
    "The model says that Sydney is the capital of Australia although it is Canberra, and repeats it when asked again."
)
WORDS = [f"word{number}" for number in range(400)]


def share_a_band(one: str, other: str) -> bool:
    return bool(set(text_bands(one)) & set(text_bands(other)))


def test_case_and_punctuation_make_no_difference() -> None:
    assert text_bands(REPORT) == text_bands(REPORT.upper().replace(",", " !"))
    assert jaccard(shingles(REPORT), shingles(REPORT.lower())) == 1


def test_a_short_text_has_no_bands() -> None:
    assert text_bands("good answer") == ()
    assert text_bands("") == ()


def test_near_copies_are_found_and_strangers_are_not() -> None:
    generator = random.Random(6)
    near_found = strange_found = 0
    for _ in range(200):
        words = generator.sample(WORDS, 60)
        near = [*words[:30], generator.choice(WORDS), *words[31:]]
        near_found += share_a_band(" ".join(words), " ".join(near))
        strange_found += share_a_band(" ".join(words), " ".join(generator.sample(WORDS, 60)))
    assert near_found >= 198, "one word of sixty was changed"
    assert strange_found == 0


def test_reports_that_say_the_same_group_together() -> None:
    texts = [
        "It claims that Sydney is the capital of Australia",
        "Thinks the German plural of Haus is Hause",
        "Says Sydney is Australia's capital",
        "",
        "The plural of the German word Haus comes out as Hause",
        "Wrong capital of Australia: says Sydney",
        "Refuses to write a poem about knives",
    ]
    assert clusters(tf_idf(texts), threshold=0.2) == [[0, 2, 5], [1, 4]]


@pytest.mark.parametrize("texts", [[], [""], ["one text alone"], ["", ""]])
def test_too_little_makes_no_group(texts: list[str]) -> None:
    assert clusters(tf_idf(texts), threshold=0.2) == []
