"""Cards and folders of weights for the catalog's tests: made in the real forms, only small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from portal.catalog.models import ModelCard, Variant
from portal.catalog.services import publish_revision

CARD_TEXT = """---
license: apache-2.0
language: [en, de]
base_model: acme/base
widget:
- example_title: Greet
  messages:
  - {role: user, content: Say hello & wait}
x_unknown: {kept: true}
---
# Tiny model

Intro with *emphasis*.

## Training data

None to speak of.
"""
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": 10,
    "tie_word_embeddings": True,
}


def make_card(slug: str = "tiny", *, text: str | None = CARD_TEXT, **fields: Any) -> ModelCard:
    fields = {"owner_name": "acme", "title": "Tiny model", "summary": "A model for tests."} | fields
    card = ModelCard.objects.create(slug=slug, **fields)
    if text is not None:
        publish_revision(card, text, author=None)
    return card


def make_variant(card: ModelCard, slug: str = "bf16", **fields: Any) -> Variant:
    fields = {
        "backend": "transformers",
        "source": f"weights/{card.slug}",
        "facts": {"parameters": 135_000_000},
    } | fields
    return Variant.objects.create(card=card, slug=slug, **fields)


def write_weights(folder: Path, **config: Any) -> Path:
    """A folder in Hugging Face form: 88 parameters of a model that would run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    save_file(
        {"model.embed_tokens.weight": np.zeros((10, 8), np.float32), "model.norm.weight": np.zeros(8, np.float32)},
        folder / "model.safetensors",
    )
    return folder
