"""Full text over the cards: SQLite's FTS5 or PostgreSQL's tsvector behind three functions, with the same answers.

Words are folded here, before either database sees them: without case and accents, and no stemming, since cards are
written in many languages. The index is a table beside the models, because Django has no field for it on both.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.backends.utils import CursorWrapper

TABLE: Final = "catalog_card_search"
MAX_WORDS: Final = 20
MAX_BODY_CHARACTERS: Final = 200_000
MAX_FOUND: Final = 1_000
_WORD: Final = re.compile(r"[^\W_]+")

_TABLES: Final = {
    "sqlite": ("CREATE VIRTUAL TABLE IF NOT EXISTS catalog_card_search USING fts5(names, labels, summary, body)",),
    "postgresql": (
        "CREATE TABLE IF NOT EXISTS catalog_card_search (card_id bigint PRIMARY KEY, words tsvector NOT NULL)",
        "CREATE INDEX IF NOT EXISTS catalog_card_search_words ON catalog_card_search USING gin (words)",
    ),
}
_DELETE: Final = {
    "sqlite": "DELETE FROM catalog_card_search WHERE rowid = %s",
    "postgresql": "DELETE FROM catalog_card_search WHERE card_id = %s",
}
_INSERT: Final = {
    "sqlite": "INSERT INTO catalog_card_search (rowid, names, labels, summary, body) VALUES (%s, %s, %s, %s, %s)",
    "postgresql": (
        "INSERT INTO catalog_card_search (card_id, words) VALUES (%s,"
        " setweight(to_tsvector('simple', %s), 'A') || setweight(to_tsvector('simple', %s), 'B') ||"
        " setweight(to_tsvector('simple', %s), 'C') || setweight(to_tsvector('simple', %s), 'D'))"
    ),
}
# A word in a name weighs ten times one in the text, on both; bm25 is smaller for better.
_FIND: Final = {
    "sqlite": (
        "SELECT rowid FROM catalog_card_search WHERE catalog_card_search MATCH %s"
        " ORDER BY bm25(catalog_card_search, 10.0, 4.0, 2.0, 1.0), rowid DESC LIMIT %s"
    ),
    "postgresql": (
        "SELECT card_id FROM catalog_card_search, to_tsquery('simple', %s) wanted WHERE words @@ wanted"
        " ORDER BY ts_rank('{0.1, 0.2, 0.4, 1.0}', words, wanted) DESC, card_id DESC LIMIT %s"
    ),
}


@dataclass(frozen=True, slots=True)
class CardWords:
    """What a card can be found by, weightiest first."""

    names: str
    labels: str
    summary: str
    body: str


def words_of(text: str) -> list[str]:
    """The words of a text, folded: Modèle-7B is modele and 7b."""
    decomposed = unicodedata.normalize("NFKD", text)
    return _WORD.findall("".join(each for each in decomposed if not unicodedata.combining(each)).casefold())


def create_search_table(using: str) -> bool:
    """Make the table; say whether it was not there yet."""
    if TABLE in connections[using].introspection.table_names():
        return False
    with _cursor(using) as cursor:
        for statement in _TABLES[connections[using].vendor]:
            cursor.execute(statement)
    return True


def index_words(using: str, card_id: int, words: CardWords | None) -> None:
    """Put a card into the index, in place of what it had there; None takes it out."""
    vendor = connections[using].vendor
    with _cursor(using) as cursor:
        cursor.execute(_DELETE[vendor], [card_id])
        if words is not None:
            parts = (words.names, words.labels, words.summary, words.body[:MAX_BODY_CHARACTERS])
            cursor.execute(_INSERT[vendor], [card_id, *(" ".join(words_of(part)) for part in parts)])


def find_cards(using: str, search: str) -> list[int]:
    """The cards in which every word of `search` begins a word, best match first, at most MAX_FOUND.

    None where `search` has no word.
    """
    wanted = words_of(search)[:MAX_WORDS]
    if not wanted:
        return []
    vendor = connections[using].vendor
    query = " ".join(f'"{word}"*' for word in wanted) if vendor == "sqlite" else " & ".join(f"{w}:*" for w in wanted)
    with _cursor(using) as cursor:
        cursor.execute(_FIND[vendor], [query, MAX_FOUND])
        return [card_id for (card_id,) in cursor.fetchall()]


def _cursor(using: str) -> CursorWrapper:
    return connections[using].cursor()
