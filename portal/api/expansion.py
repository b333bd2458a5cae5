"""`expand=`: what a row refers to, in the place of its id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from portal.accounts.actors import Actor
from portal.api.catalog_rows import variant_row
from portal.api.runs.conversation_rows import conversation_row
from portal.api.runs.generation_rows import generation_row
from portal.catalog.access import open_cards
from portal.catalog.queries import variants_by_model_id
from portal.playground.queries import latest_variants, own_conversations, own_generations

Loader = Callable[[Actor, Collection[str]], Mapping[str, Mapping[str, Any]]]


def read_expand(text: str | None) -> tuple[str, ...]:
    """The names in the parameter, none without it. The operation's parameter lets through those that there are."""
    return () if text is None else tuple(dict.fromkeys(text.split(",")))


def expanded(actor: Actor, rows: Iterable[Mapping[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
    """The rows with the things that these members name, each kind read at once; an id of what is gone stays an id."""
    found = [dict(row) for row in rows]
    for name in names:
        ids = {row[name] for row in found if row[name] is not None}
        things = _LOADERS[name](actor, ids)
        for row in found:
            row[name] = things.get(row[name], row[name])
    return found


def _conversations(actor: Actor, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    conversations = list(own_conversations(actor).filter(pk__in=ids))
    variants = latest_variants(conversations)
    return {str(each.pk): conversation_row(each, variants) for each in conversations}


def _generations(actor: Actor, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    return {str(each.pk): generation_row(each) for each in own_generations(actor).filter(pk__in=ids)}


def _variants(actor: Actor, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    variants = variants_by_model_id(ids)
    open_to = open_cards(actor.user, [each.card for each in variants])
    return {each.model_id: variant_row(each, open_to) for each in variants}


_LOADERS: Final[dict[str, Loader]] = {
    "conversation": _conversations,
    "generation": _generations,
    "variant": _variants,
}
