"""How alike texts are: shingles, MinHash bands to find candidates in an index, TF-IDF to group reports; all pure."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORDS: Final = re.compile(r"\w+")
SHINGLE_WORDS: Final = 3
# Texts of fewer words are alike by chance: "good answer".
FEWEST_WORDS: Final = 8
BANDS: Final = 8
ROWS_PER_BAND: Final = 3
_PRIME: Final = np.uint64((1 << 31) - 1)

_random: Final = np.random.default_rng(20_240_229)
_FACTORS: Final = _random.integers(1, int(_PRIME), size=BANDS * ROWS_PER_BAND, dtype=np.uint64)
_OFFSETS: Final = _random.integers(0, int(_PRIME), size=BANDS * ROWS_PER_BAND, dtype=np.uint64)


def words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())


def shingles(text: str) -> frozenset[str]:
    """Runs of three words, whatever their case and punctuation."""
    found = words(text)
    if len(found) < SHINGLE_WORDS:
        return frozenset(found)
    return frozenset(" ".join(found[start : start + SHINGLE_WORDS]) for start in range(len(found) - SHINGLE_WORDS + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of shingles that two texts have in common: 0 to 1."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


@lru_cache(maxsize=64)
def text_bands(text: str) -> tuple[int, ...]:
    """Numbers of which two texts share at least one when they are nearly the same; none for a short text.

    With 8 bands of 3 rows, texts that share 80 % of their shingles share a band with probability 0.997, and texts that
    share 20 % with 0.06. The hash is zlib's, so that the numbers are the same in every process and every version.
    """
    if len(words(text)) < FEWEST_WORDS:
        return ()
    hashes = np.array([zlib.crc32(each.encode()) for each in shingles(text)], dtype=np.uint64) % _PRIME
    signature = ((hashes[:, None] * _FACTORS + _OFFSETS) % _PRIME).min(axis=0).reshape(BANDS, ROWS_PER_BAND)
    # The band's number is part of what is hashed: the same rows in another band are no match.
    return tuple(zlib.crc32(bytes([index]) + row.tobytes()) for index, row in enumerate(signature))


def tf_idf(texts: Sequence[str], fewest_documents: int = 1) -> NDArray[np.float64]:
    """One row per text, of length 1 (0 for a text without words): words and pairs of words, rarer ones heavier."""
    documents = [_terms(text) for text in texts]
    frequency = Counter(term for document in documents for term in document)
    terms = {term: index for index, term in enumerate(sorted(t for t, n in frequency.items() if n >= fewest_documents))}
    matrix = np.zeros((len(texts), len(terms)))
    for row, document in enumerate(documents):
        for term, count in document.items():
            if term in terms:
                rarity = np.log((1 + len(texts)) / (1 + frequency[term])) + 1
                matrix[row, terms[term]] = (1 + np.log(count)) * rarity
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1.0)


def _terms(text: str) -> Counter[str]:
    found = words(text)
    return Counter(found) + Counter(f"{one} {two}" for one, two in pairwise(found))


def clusters(vectors: NDArray[np.float64], threshold: float) -> list[list[int]]:
    """Rows that say the same, as groups of two and more, the largest first.

    Average-link, greedily: the two groups most alike in the mean join until none reaches `threshold`. A chain of
    neighbours therefore does not make one group of two that only touch. For up to a few hundred rows.
    """
    groups = {index: [index] for index in range(len(vectors)) if np.any(vectors[index])}
    if len(groups) < 2:
        return []
    keys = sorted(groups)
    place = {key: index for index, key in enumerate(keys)}
    rows = vectors[keys]
    similar = rows @ rows.T
    np.fill_diagonal(similar, -1.0)
    while True:
        one, other = divmod(int(similar.argmax()), len(keys))
        if similar[one, other] < threshold:
            break
        kept, gone = keys[one], keys[other]
        weight, lighter = len(groups[kept]), len(groups[gone])
        # The mean similarity of a joined group to any other is the mean of its parts', by their weight.
        joined = (weight * similar[place[kept]] + lighter * similar[place[gone]]) / (weight + lighter)
        groups[kept] += groups.pop(gone)
        similar[one], similar[:, one] = joined, joined
        similar[other], similar[:, other] = -1.0, -1.0
        similar[one, one] = -1.0
        similar[one, other] = similar[other, one] = -1.0
    found = [sorted(group) for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: (-len(group), group))
