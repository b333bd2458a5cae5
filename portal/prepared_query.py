"""Queries whose SQL is made once. To make it takes Django ten times as long as SQLite takes to answer it.

For the few that every run asks for; elsewhere a queryset says the same in fewer words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, Model, QuerySet

Row = tuple[Any, ...]
Found = TypeVar("Found", bound=Model)


class Given(Expression):
    """Stands in a queryset's condition for a value of the field's kind that each call gives by this name."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # its stub is narrow
        """A parameter's place, with this object where the value will be."""
        return "%s", [self]

    def value_of(self, given: Mapping[str, Any]) -> Any:
        """The value in the form that the database takes."""
        return self.output_field.get_db_prep_value(given[self.name], connection, prepared=False)


def values_of(parts: Iterable[Any], given: Mapping[str, Any]) -> list[Any]:
    """A statement's parameters, with what is given in the places of `Given`."""
    return [part.value_of(given) if isinstance(part, Given) else part for part in parts]


@contextmanager
def spare_connection() -> Iterator[BaseDatabaseWrapper]:
    """To make SQL with. What is kept keeps its connection: a thread's own would stay open when the thread has ended."""
    spare = connection.copy()
    try:
        yield spare
    finally:
        spare.close()


class PreparedRows:
    """A queryset of `values_list`, made by `build` with `Given` in its conditions; each call asks the database anew."""

    def __init__(self, build: Callable[[], QuerySet[Any, Row]]) -> None:
        self._build = build
        # By the kind of database: what makes Python's values of its own, what does so by column, SQL and parameters.
        self._made: dict[str, tuple[Any, Any, str, Row]] = {}

    def __call__(self, **given: Any) -> list[Row]:
        """The rows for these values. Raises KeyError where one is missing."""
        compiler, converters, sql, parts = self._made.get(connection.vendor) or self._make()
        with connection.cursor() as cursor:
            cursor.execute(sql, values_of(parts, given))
            found = cursor.fetchall()
        return [tuple(row) for row in compiler.apply_converters(found, converters)]

    def _make(self) -> tuple[Any, Any, str, Row]:
        with spare_connection() as spare:
            compiler = self._build().query.get_compiler(connection=spare)
            sql, parts = compiler.as_sql()
            converters = compiler.get_converters([column for column, _sql, _alias in compiler.select])
        made = self._made[connection.vendor] = compiler, converters, sql, tuple(parts)
        return made


class PreparedInstances(Generic[Found]):
    """A queryset of instances, made by `build`, each with what its keys named in `related` point to.

    Columns in `without` are loaded where they are looked at. Raises ValueError, at the first call, for a key that may
    point to nothing.
    """

    def __init__(
        self, build: Callable[[], QuerySet[Found]], *, related: Collection[str] = (), without: Collection[str] = ()
    ) -> None:
        self._build = build
        self._related = related
        self._without = without
        self._parts: list[tuple[str, type[Model], list[str]]] = []
        self._rows = PreparedRows(self._columns)

    def __call__(self, **given: Any) -> list[Found]:
        """The instances for these values. Raises KeyError where one is missing."""
        return [self._instance(row) for row in self._rows(**given)]

    def _columns(self) -> QuerySet[Any, Row]:
        found = self._build()
        parts: list[tuple[str, type[Model], list[str]]] = [("", found.model, self._names_of(found.model, ""))]
        for path in self._related:
            model: Any = found.model
            for step in path.split("__"):
                key = model._meta.get_field(step)  # noqa: SLF001  Django's documented name
                if key.null:
                    raise ValueError(f"related: {path} may point to nothing")
                model = key.related_model
            parts.append((path, model, self._names_of(model, f"{path}__")))
        # At once: other threads may read it.
        self._parts = parts
        paths = [f"{path}__{name}" if path else name for path, _model, names in parts for name in names]
        return found.values_list(*paths)

    def _names_of(self, model: type[Model], prefix: str) -> list[str]:
        fields = model._meta.concrete_fields  # noqa: SLF001  Django's documented name
        return [field.attname for field in fields if prefix + field.name not in self._without]

    def _instance(self, row: Row) -> Found:
        made: dict[str, Any] = {}
        end = 0
        for path, model, names in self._parts:
            begin, end = end, end + len(names)
            made[path] = model.from_db(connection.alias, names, row[begin:end])
            if path:
                holder, _dot, name = path.rpartition("__")
                setattr(made[holder], name, made[path])
        found: Found = made[""]
        return found
