"""An export table, and the plan that one export of it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.formats import ExportFormat
from portal.exports.schema import Row, Schema

Chunks = Iterator[list[Row]]

# Formats whose cells hold no objects worth the name: there a row is flat where its table knows how.
FLAT_FORMATS: Final = frozenset({"csv", "parquet"})


def _same(row: Row) -> Row:
    return row


@dataclass(frozen=True, slots=True)
class Plan:
    """What one export reads: its schema, its rows in chunks of a bounded size, and their flat form.

    Making it checks every criterion; reading `chunks` asks the database as it goes and holds nothing in between.
    """

    schema: Schema
    chunks: Chunks
    flat_schema: Schema | None = None
    flatten: Callable[[Row], Row] = _same
    # How many rows there will be, or at most be where a record may give none; asks the database.
    expected: Callable[[], int] | None = None

    def schema_for(self, form: ExportFormat) -> Schema:
        return self.flat_schema if self.flat_schema is not None and form.name in FLAT_FORMATS else self.schema

    def pieces(self, form: ExportFormat) -> Iterator[tuple[bytes, int]]:
        """The file in pieces, each with the number of rows that it adds."""
        schema = self.schema_for(form)
        flatten = self.flatten if schema is not self.schema else _same
        encoder = form.encoder(schema)
        yield encoder.begin(), 0
        for chunk in self.chunks:
            yield encoder.encode([flatten(row) for row in chunk]), len(chunk)
        yield encoder.end(), 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTable:
    """A kind of export. `filters` are the criteria that it obeys; any other is refused by name."""

    name: str
    title: Promise | str
    summary: Promise | str
    schema: Schema
    filters: frozenset[str]
    make_plan: Callable[[Criteria, bytes], Plan]
    # The ids of the submissions and votes that a row was made of.
    records_of: Callable[[Row], Iterable[str]]
    # Rows that a trainer reads: without held-out prompts, and without what reviewers rejected.
    is_training: bool = False

    def plan(self, criteria: Criteria, salt: bytes | None = None) -> Plan:
        """`salt` makes the pseudonyms, the installation's own unless given. Raises InvalidCriterion."""
        for parameter in sorted(criteria.given() - self.filters):
            known = ", ".join(sorted(self.filters))
            limit = _("Does not apply to %(table)s, whose filters are: %(known)s.")
            raise InvalidCriterion(parameter, limit % {"table": self.name, "known": known})
        return self.make_plan(criteria, settings.EXPORT_SALT.encode() if salt is None else salt)
