"""Brings a model that an OpenAI-compatible server runs into the catalog: asked first, then written, all or nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from inference.public_address import PublicTransport
from inference.upstream_models import UpstreamRefused, checked_base_url, list_models
from inference.upstream_request import DIALECTS, dialect_of
from portal.catalog.importing import CardChoice, ImportedModel, ImportRefused
from portal.catalog.models import Backend, ModelCard, Variant

MAX_MODEL_CHARACTERS: Final = 300
MAX_ENTRY_CHARACTERS: Final = 8_000
_NAMED_AT_MOST: Final = 10


def import_upstream(
    address: str,
    *,
    model: str = "",
    card_name: str = "",
    key_name: str = "",
    server: str = "",
    is_published: bool = True,
    public_only: bool = False,
) -> ImportedModel:
    """Make a card and a variant for a model of the server at `address`, its base URL.

    `model` may be left out where the server has one alone; `server` is a dialect's name, or what the server says of
    itself decides; `key_name` is a name in settings.UPSTREAM_API_KEYS. The same address and model again create
    nothing and bring the variant's facts up to date. Raises ImportRefused, and then nothing has changed.
    """
    key = _key(key_name)
    if server and server not in DIALECTS:
        raise ImportRefused(f"There is no server {server}; there are: {', '.join(DIALECTS)}.")
    try:
        url = checked_base_url(address)
        entries = list_models(url, key, _guard() if public_only else None)
    except UpstreamRefused as error:
        raise ImportRefused(str(error)) from error
    entry = _chosen(entries, model, may_be_unlisted=bool(server) and not DIALECTS[server].lists_models)
    dialect = DIALECTS[server] if server else dialect_of(str(entry.get("owned_by", "")))
    facts = {
        "upstream_url": url,
        "upstream_model": entry["id"],
        "upstream_key": key_name,
        "server": dialect.name,
        "upstream": entry if len(json.dumps(entry)) <= MAX_ENTRY_CHARACTERS else {"id": entry["id"]},
        **({"public_only": True} if public_only else {}),
        **_counts(entry),
    }
    owner_name, slug = _card_name(card_name, entry["id"])
    with transaction.atomic():
        card, _ = ModelCard.objects.get_or_create(
            owner_name=owner_name, slug=slug, defaults={"title": slug[:200], "is_published": is_published}
        )
        variant, created = _variant(card, facts)
    number = card.current_revision.number if card.current_revision else None
    return ImportedModel(variant=variant, created=created, revision=number, left_out=())


def _guard() -> PublicTransport:
    return PublicTransport(settings.IMPORT_PRIVATE_HOSTS)


def _key(name: str) -> str | None:
    if not name:
        return None
    try:
        key: str = settings.UPSTREAM_API_KEYS[name]
    except KeyError:
        raise ImportRefused(f"UPSTREAM_API_KEYS has no key named {name}.") from None
    return key


def _chosen(entries: list[dict[str, Any]], model: str, *, may_be_unlisted: bool) -> dict[str, Any]:
    ids = [entry["id"] for entry in entries]
    named = ", ".join(ids[:_NAMED_AT_MOST]) + (", …" if len(ids) > _NAMED_AT_MOST else "") or "none"
    if not model and len(entries) != 1:
        raise ImportRefused(f"Choose one of the upstream's models with --model; it has: {named}.")
    found = next((entry for entry in entries if entry["id"] == model or not model), None)
    if found is None and may_be_unlisted:
        found = {"id": model}
    if found is None:
        raise ImportRefused(f"The upstream has no model {model}; it has: {named}.")
    if len(found["id"]) > MAX_MODEL_CHARACTERS:
        raise ImportRefused(f"The model's id at the upstream has more than {MAX_MODEL_CHARACTERS} characters.")
    return found


def _counts(entry: Mapping[str, Any]) -> dict[str, int]:
    """What the entry says in numbers: vLLM of the context, llama.cpp of the weights, Steelyard of the context."""
    meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
    assert isinstance(meta, dict)
    said = {
        "context_length": entry.get("max_model_len") or entry.get("context_length") or meta.get("n_ctx"),
        "parameters": meta.get("n_params"),
        "vocabulary_size": meta.get("n_vocab"),
        "weight_bytes": meta.get("size"),
    }
    return {
        name: count
        for name, count in said.items()
        if isinstance(count, int) and not isinstance(count, bool) and 0 < count < 2**63
    }


def _card_name(given: str, model: str) -> tuple[str, str]:
    """The card's two names: those given, or local/<the last part of the model's id>."""
    part = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("._-")[:96].strip("._-")
    card = CardChoice.of(given or f"local/{part}")
    return card.owner_name, card.slug


def _variant(card: ModelCard, facts: dict[str, Any]) -> tuple[Variant, bool]:
    url, model = facts["upstream_url"], facts["upstream_model"]
    upstreams = card.variants.select_for_update().filter(backend=Backend.OPENAI, source=url)
    known = next((each for each in upstreams if each.facts.get("upstream_model") == model), None)
    if known is not None and facts.get("public_only") and not known.facts.get("public_only"):
        return known, False  # what the command imported, with its key, is not changed from a page
    if known is not None:
        known.facts = facts
        known.save(update_fields=["facts"])
        return known, False
    slug = "upstream" if facts["server"] == "unknown" else facts["server"]
    if card.variants.filter(slug=slug).exists():
        slug = f"{slug}-{hashlib.sha256(f'{url} {model}'.encode()).hexdigest()[:8]}"
    variant = card.variants.create(
        slug=slug, backend=Backend.OPENAI, source=url, facts=facts, position=card.variants.count()
    )
    return variant, True
