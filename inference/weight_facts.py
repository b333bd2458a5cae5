"""Reads from a folder of weights what a card should not have to claim: sizes, shapes, tokenizer, template, digests.

Needs neither torch nor transformers, since headers and JSON say it all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from inference.config_names import with_usual_names
from inference.config_values import first_text, integer_in, is_storable, text_in
from inference.file_digests import WeightFile, file_sha256, weight_file_digests
from inference.gguf_header import InvalidGGUF, read_gguf_header
from inference.safetensors_header import Tensor
from inference.tokenizer_facts import read_tokenizer_facts
from inference.weight_tensors import UnreadableWeights, read_json_object, read_tensors

CONFIG: Final = "config.json"
FACTS_FORMAT: Final = 3
CONVERSION_RECORD: Final = "conversion.json"
_EXPERT_KEYS: Final = ("num_local_experts", "n_routed_experts", "num_experts")
_EXPERTS_PER_TOKEN_KEYS: Final = ("num_experts_per_tok", "experts_per_token")
# One of many, not one that every token uses: shared_experts is another word.
_OF_AN_EXPERT: Final = re.compile(r"\.experts\.")
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_LICENSE_FILES: Final = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
_LICENSE_BYTES: Final = 20_000
_LICENSE_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "apache-2.0": ("apache license", "version 2.0, january 2004"),
    "mit": ("permission is hereby granted, free of charge", "the software is provided"),
    "gpl-3.0": ("gnu general public license", "version 3, 29 june 2007"),
    "agpl-3.0": ("gnu affero general public license", "version 3, 19 november 2007"),
    "cc-by-nc-4.0": ("attribution-noncommercial 4.0 international",),
    "cc-by-4.0": ("attribution 4.0 international",),
    "llama3": ("meta llama 3 community license",),
    "llama3.1": ("llama 3.1 community license",),
    "llama3.2": ("llama 3.2 community license",),
    "gemma": ("gemma terms of use",),
    "bsd-3-clause": ("redistribution and use in source and binary forms", "neither the name"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFacts:
    """What the files say. None or empty means that they do not say it.

    parameters: values in all tensors, each shared one counted once; None for packed (quantised) tensors, whose number
        of values is not the number of parameters.
    dtypes: values per dtype, most first.
    active_parameters: those that one token uses, for a mixture of `experts` of which `experts_per_token` are taken.
    attention: "latent", or "multi-head", "multi-query" or "grouped-query", from the numbers of heads.
    sliding_window: how far layers with a window look back; `windowed_layers` of all have one.
    cached_numbers: what keys and values of one token are in all layers, as an engine keeps them that keeps them whole.
    configured_dtype: what config.json says, in torch's words.
    embedding_rows: how many tokens have an embedding. tokenizer_tokens: how many the tokenizer has.
    special_tokens: begin, end, padding, as text.
    license_of_files: which known licence the file LICENSE is. configured_base: what config.json was changed from.
    origin: what the weights were converted from, as the conversion recorded it.
    origin_types: values per type in that file (Q4_1, Q8_0, F32, …), most first, where the file was at hand.
    """

    architecture: str
    model_type: str
    parameters: int | None
    active_parameters: int | None
    experts: int | None
    experts_per_token: int | None
    tensors: int
    dtypes: dict[str, int]
    weight_bytes: int
    tied_embeddings: bool
    quantisation: str
    context_length: int | None
    vocabulary_size: int | None
    hidden_size: int | None
    intermediate_size: int | None
    layers: int | None
    attention_heads: int | None
    key_value_heads: int | None
    head_size: int | None
    attention: str
    sliding_window: int | None
    windowed_layers: int | None
    cached_numbers: int | None
    configured_dtype: str
    embedding_rows: int | None
    tokenizer_tokens: int | None
    special_tokens: dict[str, str]
    license_of_files: str
    configured_base: str
    tokenizer_class: str
    tokenizer_model: str
    chat_template: str
    chat_template_sha256: str
    origin: dict[str, str]
    origin_types: dict[str, int]
    files: tuple[WeightFile, ...]

    @property
    def origin_type(self) -> str:
        """The type that held most values before conversion, or an empty string."""
        return next(iter(self.origin_types), "")

    def as_dict(self) -> dict[str, Any]:
        """A form for JSON; `format` rises when more is read, so that what was read before is read again."""
        return asdict(self) | {"format": FACTS_FORMAT, "files": [asdict(file) for file in self.files]}


def read_weight_facts(folder: Path, *, origin: Path | None = None) -> WeightFacts:
    """Read a folder in Hugging Face form. Raises UnreadableWeights, or OSError when a file cannot be read.

    Hashes every file, which takes about a second per 300 MB. `origin` is a GGUF file that the folder may have been made
    from; its types are reported when its digest is the one that the folder's conversion record names.
    """
    config = read_json_object(folder / CONFIG)
    if config is None:
        raise UnreadableWeights(f"{CONFIG} is missing")
    text_config = with_usual_names(config["text_config"] if isinstance(config.get("text_config"), dict) else config)
    tensors = read_tensors(folder)
    dtypes: Counter[str] = Counter()
    for tensor in tensors.values():
        dtypes[tensor.dtype] += tensor.values
    quantisation = _quantisation(config)
    heads = integer_in(text_config, "num_attention_heads")
    key_value_heads = integer_in(text_config, "num_key_value_heads") or heads
    hidden_size = integer_in(text_config, "hidden_size")
    head_size = integer_in(text_config, "head_dim") or (hidden_size // heads if hidden_size and heads else None)
    experts = next((n for key in _EXPERT_KEYS if (n := integer_in(text_config, key))), None)
    per_token = next((n for key in _EXPERTS_PER_TOKEN_KEYS if (n := integer_in(text_config, key))), None)
    parameters = None if quantisation else _parameters(tensors, config)
    tokenizer = read_tokenizer_facts(folder)
    embedding = tensors.get("model.embed_tokens.weight")
    record = _conversion_record(folder)
    return WeightFacts(
        architecture=first_text(config.get("architectures")),
        model_type=text_in(config, "model_type"),
        parameters=parameters,
        active_parameters=_active_parameters(tensors, parameters, experts, per_token),
        experts=experts,
        experts_per_token=per_token,
        tensors=len(tensors),
        dtypes=dict(dtypes.most_common()),
        weight_bytes=sum(tensor.size_bytes for tensor in tensors.values()),
        tied_embeddings=_is_tied(config),
        quantisation=quantisation,
        context_length=integer_in(text_config, "max_position_embeddings"),
        vocabulary_size=integer_in(text_config, "vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=integer_in(text_config, "intermediate_size"),
        layers=integer_in(text_config, "num_hidden_layers"),
        attention_heads=heads,
        key_value_heads=key_value_heads,
        head_size=head_size,
        attention=_attention_kind(text_config, heads, key_value_heads),
        sliding_window=integer_in(text_config, "sliding_window"),
        windowed_layers=_windowed_layers(text_config),
        cached_numbers=_cached_numbers(text_config, heads, key_value_heads, head_size),
        configured_dtype=text_in(config, "dtype") or text_in(config, "torch_dtype"),
        embedding_rows=embedding.shape[0] if embedding is not None and len(embedding.shape) == 2 else None,
        tokenizer_tokens=tokenizer.tokens,
        special_tokens=tokenizer.special_tokens,
        license_of_files=_license_of_files(folder),
        configured_base=_configured_base(config),
        tokenizer_class=tokenizer.class_name,
        tokenizer_model=tokenizer.model,
        chat_template=tokenizer.chat_template,
        chat_template_sha256=tokenizer.chat_template_sha256,
        origin=record,
        origin_types=_origin_types(record, origin),
        files=tuple(weight_file_digests(folder)),
    )


# --- Tensors


def _parameters(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> int:
    total = sum(tensor.values for tensor in tensors.values())
    output, embedding = tensors.get("lm_head.weight"), tensors.get("model.embed_tokens.weight")
    if _is_tied(config) and output is not None and embedding is not None:
        total -= output.values  # the same matrix, written twice
    return total


# --- Configuration


def _is_tied(config: Mapping[str, Any]) -> bool:
    return config.get("tie_word_embeddings") is True


def _quantisation(config: Mapping[str, Any]) -> str:
    settings = config.get("quantization_config")
    return (text_in(settings, "quant_method") or "unknown") if isinstance(settings, dict) else ""


def _active_parameters(
    tensors: Mapping[str, Tensor], parameters: int | None, experts: int | None, per_token: int | None
) -> int | None:
    """Of a mixture's parameters those that one token uses; None for a model without experts."""
    if parameters is None or not experts or not per_token or per_token > experts:
        return None
    of_experts = sum(tensor.values for tensor in tensors.values() if _OF_AN_EXPERT.search(tensor.name))
    return parameters - of_experts + of_experts * per_token // experts


def _windowed_layers(config: Mapping[str, Any]) -> int | None:
    kinds, layers = config.get("layer_types"), integer_in(config, "num_hidden_layers")
    if integer_in(config, "sliding_window") is None or config.get("use_sliding_window") is False:
        return None
    if isinstance(kinds, list):
        return len([kind for kind in kinds if kind == "sliding_attention"])
    return layers


def _cached_numbers(
    config: Mapping[str, Any], heads: int | None, key_value_heads: int | None, head_size: int | None
) -> int | None:
    layers = integer_in(config, "num_hidden_layers")
    if layers is None or heads is None:
        return None
    if integer_in(config, "kv_lora_rank"):
        # Engines that compress keep kv_lora_rank numbers and the rotary part; transformers keeps what is made of them.
        parts = [integer_in(config, key) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")]
        return layers * heads * sum(part or 0 for part in parts)
    return 2 * layers * (key_value_heads or heads) * head_size if head_size else None


def _license_of_files(folder: Path) -> str:
    """The licence whose text the folder holds, by the words that only it has; an empty string for others."""
    path = next((folder / name for name in _LICENSE_FILES if (folder / name).is_file()), None)
    if path is None:
        return ""
    with path.open("rb") as file:
        text = " ".join(file.read(_LICENSE_BYTES).decode("utf-8", "replace").lower().split())
    return next((name for name, words in _LICENSE_WORDS.items() if all(word in text for word in words)), "")


def _configured_base(config: Mapping[str, Any]) -> str:
    """A name on a hub; training writes folders of its own machine there too, which name nothing."""
    name = text_in(config, "_name_or_path")
    return name if _HUB_NAME.fullmatch(name) else ""


def _attention_kind(config: Mapping[str, Any], heads: int | None, key_value_heads: int | None) -> str:
    if integer_in(config, "kv_lora_rank"):
        return "latent"
    if heads is None or key_value_heads is None:
        return ""
    if key_value_heads == heads:
        return "multi-head"
    return "multi-query" if key_value_heads == 1 else "grouped-query"


def _conversion_record(folder: Path) -> dict[str, str]:
    record = read_json_object(folder / CONVERSION_RECORD) or {}
    return {key: value[:200] for key, value in record.items() if is_storable(key) and is_storable(value)}


def _origin_types(record: Mapping[str, str], origin: Path | None) -> dict[str, int]:
    if origin is None or not origin.is_file() or file_sha256(origin) != record.get("source_sha256"):
        return {}
    try:
        return read_gguf_header(origin).values_by_type
    except InvalidGGUF as error:
        raise UnreadableWeights(str(error)) from error
