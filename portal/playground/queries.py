"""What the playground's pages read: a conversation's turns, somebody's conversations, a run's figures, examples."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from portal.accounts.actors import Actor
from portal.catalog.card_metadata import Example, describe_metadata
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation, State, TokenTrace

MAX_SEARCH_CHARACTERS: Final = 200


def find_turn(conversation: Conversation, generation_id: uuid.UUID) -> Generation | None:
    """The conversation's own generation with this id."""
    return conversation.generations.filter(pk=generation_id).first()


def list_conversations(actor: Actor, *, search: str = "", deleted: bool = False) -> QuerySet[Conversation]:
    """The actor's conversations, newest first, each with `turn_count` and `latest_variant_id`.

    `search` finds words of a title, a prompt or an answer; `deleted` lists those that can still be restored.
    """
    generations = Generation.objects.filter(conversation=OuterRef("pk"))
    own = own_conversations(actor, deleted=deleted).filter(is_listed=True)
    for word in search[:MAX_SEARCH_CHARACTERS].split():
        said = generations.filter(Q(prompt__icontains=word) | Q(output__icontains=word))
        own = own.filter(Q(title__icontains=word) | Exists(said))
    return own


def own_conversations(actor: Actor, *, deleted: bool = False) -> QuerySet[Conversation]:
    """The same, with those that are parts of something that has a page of its own."""
    generations = Generation.objects.filter(conversation=OuterRef("pk"))
    # Siblings (a retry) answer the same turn and share a parent; only first turns have none, which COUNT leaves out.
    parents = generations.order_by().values("conversation").annotate(count=Count("parent", distinct=True))
    return Conversation.objects.filter(actor.owns(), deleted_at__isnull=not deleted).annotate(
        turn_count=Coalesce(Subquery(parents.values("count")) + 1, 0),
        latest_variant_id=Subquery(generations.order_by("-created_at", "-id").values("variant_id")[:1]),
    )


def own_generations(actor: Actor) -> QuerySet[Generation]:
    """The actor's runs, newest first, each with its variant and card and without what grows with its conversation."""
    own = Generation.objects.filter(conversation__in=Conversation.objects.filter(actor.owns(), deleted_at=None))
    return own.select_related("variant__card").defer("messages", "rendered_prompt", "provenance")


def are_any_queued(generations: Iterable[Generation]) -> bool:
    """Whether one of them waits for a worker."""
    return Generation.objects.filter(pk__in=[each.pk for each in generations], state=State.QUEUED).exists()


def latest_variants(conversations: Iterable[Conversation]) -> dict[int, Variant]:
    """The variants of `list_conversations` rows by their id, in one query."""
    ids = {getattr(each, "latest_variant_id", None) for each in conversations} - {None}
    return Variant.objects.select_related("card").in_bulk(ids)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a run measured; None is not known. `first_token_s` counts from the moment the prompt was queued."""

    first_token_s: float | None
    tokens_per_s: float | None
    prompt_tokens: int | None
    completion_tokens: int | None


def run_figures(generation: Generation) -> RunFigures:
    """Read a run's figures off its row."""
    prompt_tokens = _count(generation.usage, "prompt_tokens")
    completion_tokens = _count(generation.usage, "completion_tokens")
    decode_s = _seconds(generation.timings, "decode_s")
    # Decoding begins with the first token, so it made all the others.
    decoded = (completion_tokens or 0) - 1
    return RunFigures(
        first_token_s=_seconds(generation.timings, "first_token_s"),
        tokens_per_s=decoded / decode_s if decode_s and decoded > 0 else None,
        # A run whose tokens were counted here has 0 for a prompt whose tokens the upstream did not tell.
        prompt_tokens=(prompt_tokens or None) if generation.usage.get("is_counted") else prompt_tokens,
        completion_tokens=completion_tokens,
    )


def _count(values: dict[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) else None


def _seconds(values: dict[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else None


def example_prompts(variant: Variant) -> tuple[Example, ...]:
    """The prompts that the variant's card offers to try."""
    revision = variant.card.current_revision
    return describe_metadata(revision.metadata).examples if revision is not None else ()


def trace_tokens(generation: Generation) -> list[dict[str, Any]]:
    """The run's tokens as TokenTrace keeps them; none while it runs."""
    trace = TokenTrace.objects.filter(generation=generation).first()
    tokens: list[dict[str, Any]] = trace.tokens if trace is not None else []
    return tokens
