"""Configurations say the same under different names: the usual ones, and those of GPT-2 and its kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# The usual name first.
CONTEXT_NAMES: Final = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_NAMES: Final = (
    CONTEXT_NAMES,
    ("hidden_size", "n_embd"),
    ("intermediate_size", "n_inner"),
    ("num_hidden_layers", "n_layer"),
    ("num_attention_heads", "n_head"),
)


def with_usual_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that says under the usual name, too, what stands there under another one only."""
    said = dict(config)
    for usual, *others in _NAMES:
        name = next((name for name in others if config.get(usual) is None and config.get(name) is not None), None)
        if name is not None:
            said[usual] = config[name]
    return said
