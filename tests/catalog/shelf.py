"""Cards and folders of weights for the catalog's tests: made in the real forms, only small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
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


def write_adapter(
    folder: Path,
    *,
    module: str = "model.layers.0.self_attn.q_proj",
    width: int = 8,
    height: int = 8,
    rank: int = 4,
    **config: Any,
) -> Path:
    """A LoRA adapter in peft's form that changes one module of `width` inputs and `height` outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"peft_type": "LORA", "base_model_name_or_path": "acme/tiny", "r": rank, "lora_alpha": 2 * rank}
    (folder / "adapter_config.json").write_text(json.dumps(settings | config))
    generator = np.random.default_rng(7)
    save_file(
        {
            f"base_model.model.{module}.lora_A.weight": generator.normal(size=(rank, width)).astype(np.float32),
            f"base_model.model.{module}.lora_B.weight": generator.normal(size=(height, rank)).astype(np.float32),
        },
        folder / "adapter_model.safetensors",
    )
    return folder


def write_gguf(path: Path, *, kind: GGMLQuantizationType = GGMLQuantizationType.Q4_1) -> Path:
    """A GGUF file of a model with one layer, whose matrices are stored as `kind` and whose tokens are bytes."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    alphabet = sorted(bytes_to_unicode().values())
    writer.add_tokenizer_model("gpt2")
    tokens = ["<end>", *alphabet, alphabet[0] + alphabet[1]]
    writer.add_token_list(tokens)
    writer.add_token_types([3, *([1] * (len(tokens) - 1))])
    writer.add_token_merges([f"{alphabet[0]} {alphabet[1]}"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")
    generator = np.random.default_rng(5)
    shapes = {"token_embd": (len(tokens), 32), "output": (len(tokens), 32), "output_norm": (32,)}
    for name, shape in {
        "attn_norm": (32,),
        "ffn_norm": (32,),
        "attn_q": (32, 32),
        "attn_k": (16, 32),
        "attn_v": (16, 32),
        "attn_output": (32, 32),
        "ffn_gate": (64, 32),
        "ffn_up": (64, 32),
        "ffn_down": (32, 64),
    }.items():
        shapes[f"blk.0.{name}"] = shape
    for name, shape in shapes.items():
        values = generator.normal(size=shape).astype(np.float32)
        packed = len(shape) == 2
        data = quantize(values, kind) if packed else values
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind if packed else GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def bytes_to_unicode() -> dict[int, str]:
    """GPT-2's letters for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}
