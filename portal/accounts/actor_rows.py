"""Rows of what an actor owns, by queries whose SQL is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import BigIntegerField, Q, QuerySet, UUIDField

from portal.accounts.actors import Actor
from portal.prepared_query import Given, PreparedRows, Row


class RowsOfActor:
    """A queryset of `values_list`, made by `build` with the condition that selects an actor's own.

    The columns `owner` and `visitor` stand in what is looked for, or where `path` leads ("conversation__").
    """

    def __init__(self, build: Callable[[Q], QuerySet[Any, Row]], path: str = "") -> None:
        owner = Q(**{f"{path}owner": Given("holder", BigIntegerField())})
        visitor = Q(**{f"{path}visitor": Given("holder", UUIDField())})
        self._of_users = PreparedRows(lambda: build(owner))
        self._of_visitors = PreparedRows(lambda: build(visitor))

    def __call__(self, actor: Actor, **given: Any) -> list[Row]:
        """The actor's rows for these values; a stranger has none."""
        if actor.user is not None:
            return self._of_users(holder=actor.user.pk, **given)
        if actor.visitor is not None:
            return self._of_visitors(holder=actor.visitor, **given)
        return []
