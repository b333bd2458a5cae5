"""UPDATEs and INSERTs that every run needs: their SQL is made once, as prepared_query.py has it for SELECTs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import AutoField, Field, Model
from django.db.models.sql import UpdateQuery

from portal.prepared_query import Given, spare_connection, values_of

Statement = tuple[str, tuple[Any, ...]]


class _Saved(Given):
    """A value that is to be stored, of which None is the database's NULL."""

    def value_of(self, given: Mapping[str, Any]) -> Any:
        return self.output_field.get_db_prep_save(given[self.name], connection)


class PreparedUpdates:
    """Changes rows of a model, where columns have the values that they must have.

    Columns are named as the model's attributes, a key's as `variant_id`, with its value. There is SQL for each set of
    names, and for each expression in place of a value to be stored: let it be a constant one, as `F("attempt") + 1`.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._made: dict[object, Statement] = {}

    def __call__(self, where: Mapping[str, Any], changes: Mapping[str, Any]) -> int:
        """How many rows were changed. Raises ValueError for a condition of None, which no row meets, or no changes."""
        if not changes or None in where.values():
            raise ValueError("where: no column equals None" if changes else "changes: name at least one")
        expressions = tuple((name, repr(each) if _is_expression(each) else None) for name, each in changes.items())
        key = connection.vendor, tuple(where), expressions
        sql, parts = self._made.get(key) or self._made.setdefault(key, self._make(where, changes))
        given = {**{_place(name): value for name, value in where.items()}, **changes}
        with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
            cursor.execute(sql, values_of(parts, given))
            return int(cursor.rowcount)

    def _make(self, where: Mapping[str, Any], changes: Mapping[str, Any]) -> Statement:
        rows = self._model._base_manager.filter(**{name: Given(_place(name), self._field(name)) for name in where})  # noqa: SLF001
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(
            {
                name: value if _is_expression(value) else _Saved(name, self._field(name))
                for name, value in changes.items()
            }
        )
        with spare_connection() as spare:
            sql, parts = query.get_compiler(connection=spare).as_sql()
        return sql, tuple(parts)

    def _field(self, name: str) -> Field[Any, Any]:
        options = self._model._meta  # noqa: SLF001  Django's documented name
        field: Field[Any, Any] = options.pk if name == "pk" else options.get_field(name)  # type: ignore[assignment]
        return field


def _is_expression(value: object) -> bool:
    return hasattr(value, "resolve_expression")


def _place(name: str) -> str:
    """Apart from what the same column is changed to."""
    return f"where {name}"


def insert(row: Model) -> None:
    """Store a new row, as `save(force_insert=True)` does for one without a key of the database's making; no signals.

    The object is not told: a key that the database makes stays unknown, and Django takes it for a new one still.
    """
    sql, values = insertion(row)
    with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
        cursor.execute(sql, values)


def insertion(row: Model) -> tuple[str, list[Any]]:
    """The statement that stores a new row, and its parameters."""
    sql, fields = _insertion(type(row), connection.vendor)
    return sql, [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]


@lru_cache(maxsize=64)
def _insertion(model: type[Model], _vendor: str) -> tuple[str, tuple[Field[Any, Any], ...]]:
    options = model._meta  # noqa: SLF001  Django's documented name
    fields = tuple(each for each in options.concrete_fields if not each.generated and not isinstance(each, AutoField))
    quoted = connection.ops.quote_name
    columns, places = ", ".join(quoted(str(each.column)) for each in fields), ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quoted(options.db_table)} ({columns}) VALUES ({places})", fields  # noqa: S608  names alone
