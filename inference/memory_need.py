"""How much memory an engine will take, computed from a folder's headers and configuration before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import torch

from inference.fused_decoder import can_fuse
from inference.linear_layers import ROUNDED_AT_ONCE, NativeLinear, PackedLinear, bfloat16_maker
from inference.model_loading import context_length
from inference.product_kernel import CACHED_NUMBERS
from inference.schedule import TOKENS_ALONE
from inference.slot_attention import SCORES_AT_ONCE
from inference.weight_folder import WeightFolder

# Measured with SmolLM2's (3.5 MB of JSON, 49,152 tokens): 55 MB stay, 67 at most.
TOKENIZER_BYTES_PER_FILE_BYTE: Final = 18
# What the arithmetic library keeps for itself (MKL a buffer of 8 MB for each of some shapes), modules that a model
# needs, code compiled for decoding, and what steps leave unused on the heap: with SmolLM2 31 MB once it is loaded, and
# 40 to 90 when it has read long prompts. What runs and the peak are then foretold within 11 %. Compiling that code
# takes 140 MB for some seconds, once per folder of numba's cache, and is not in it.
LIBRARY_BYTES: Final = 40 * 2**20
# What oneDNN keeps prepared, see inference/__init__.py, and what lies unused between, where numbers of 2 bytes are not
# multiplied natively. Tiny models took 20 to 60 MB more than in float32.
PREPARED_BYTES: Final = 48 * 2**20
# A row of logits: as they come, those of the writers, penalised in float32.
LOGIT_COPIES: Final = 3


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes on top of what the process takes with torch loaded.

    loading: weights and their rearranged copies, where both are there at once.
    weights: what stays of them.
    keys_and_values: the whole budget of positions.
    working: the tokenizer, and a step's intermediate results.
    attending: what attention needs besides, at the end of the longest context; loading needs none of it.
    """

    loading: int
    weights: int
    keys_and_values: int
    working: int
    attending: int

    @property
    def running(self) -> int:
        """The most that the engine takes once it is loaded."""
        return self.weights + self.keys_and_values + self.working + self.attending

    @property
    def peak(self) -> int:
        """The most that it ever takes. Keys and values come with the first requests, when loading is over."""
        return max(self.loading + self.working, self.running)


def memory_need(
    folder: WeightFolder,
    config: Any,
    *,
    dtype: torch.dtype,
    rounded: str | None,
    max_batch: int,
    positions: int,
    fused: bool,
) -> MemoryNeed:
    """What an engine on this folder needs.

    `config` is transformers' own; `rounded` names the weight-only format, if any; `positions` is the budget of keys and
    values; without `fused` the weights are used as they are, which is slower and needs no copies.
    """
    text = config.get_text_config()
    item = dtype.itemsize
    whole = folder.parameters * item
    # Weights stored in the wanted dtype are mapped; others are read, and converted one after the other.
    stored = sum(tensor.size_bytes for tensor in folder.tensors)
    converted = 0 if _stored_as(folder, dtype) else stored
    weights, loading = whole, whole + converted
    is_fused = fused and can_fuse(config)
    if is_fused:
        weights, copying = _fused(folder, text, dtype, rounded)
        loading = max(loading, whole + copying)
    working = LIBRARY_BYTES + _working(folder, text, max_batch, item)
    if is_fused and dtype is torch.bfloat16 and bfloat16_maker() is NativeLinear:
        working += 4 * CACHED_NUMBERS * torch.get_num_threads()
    elif item < 4:
        working += PREPARED_BYTES
    makes_scores = _makes_scores(folder, text)
    attending = _attending(text, positions, min(positions, context_length(config)), max_batch, item, makes_scores)
    return MemoryNeed(loading, weights, positions * _position_bytes(text, item), working, attending)


def _fused(folder: WeightFolder, text: Any, dtype: torch.dtype, rounded: str | None) -> tuple[int, int]:
    """Bytes that stay, and bytes beside the model while its weights are rearranged."""
    item = dtype.itemsize
    embedding = text.vocab_size * text.hidden_size
    in_layers = sum(tensor.values for tensor in folder.tensors if ".layers." in tensor.name)
    if rounded is None and (dtype is not torch.bfloat16 or bfloat16_maker() is not PackedLinear):
        joined = sum(tensor.values for tensor in folder.tensors if tensor.name.split(".")[-2] in JOINED)
        # Weights of the wanted type stay mapped with the whole file, also those that were joined.
        still_mapped = joined * item if _stored_as(folder, dtype) else 0
        return folder.parameters * item + still_mapped, joined * item
    matrices = in_layers + embedding
    kept = (matrices + embedding) * item
    if rounded is None:
        return kept, kept
    if bfloat16_maker() is NativeLinear:
        # int8 is multiplied as it is.
        kept -= (matrices if rounded == "int8" else embedding) * item
    # int4's output layer stays in int8; a block of 32 has half a byte for each weight, its scale and its centre.
    extra = matrices if rounded == "int8" else embedding + in_layers * (16 + 4) // 32
    # Beside a matrix that is rounded stand parts of it in float32, the weights that it is joined of, and int4's levels
    # in whole numbers; packed products make bfloat16 of the rounded ones, and of that their own layout.
    in_layer = (math.prod(tensor.shape) for tensor in folder.tensors if ".layers." in tensor.name)
    joined = 2 * max(in_layer, default=0)
    rounding = 3 * 4 * ROUNDED_AT_ONCE + joined * (item + (4 if rounded == "int4" else 0))
    if bfloat16_maker() is PackedLinear:
        rounding += item * embedding
    return kept + extra, kept + extra + rounding


JOINED: Final = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})


def _stored_as(folder: WeightFolder, dtype: torch.dtype) -> bool:
    names = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
    return all(tensor.dtype == names[dtype] for tensor in folder.tensors)


def _position_bytes(text: Any, item: int) -> int:
    """Keys and values of one token in all layers."""
    if getattr(text, "kv_lora_rank", None):  # latent attention: of all heads together
        numbers = text.kv_lora_rank + text.qk_rope_head_dim
    else:
        heads = text.num_attention_heads
        size = getattr(text, "head_dim", None) or text.hidden_size // heads
        numbers = 2 * (getattr(text, "num_key_value_heads", None) or heads) * size
    return int(text.num_hidden_layers * numbers * item)


def _working(folder: WeightFolder, text: Any, max_batch: int, item: int) -> int:
    tokenizer = folder.path / "tokenizer.json"
    tokenizer_bytes = tokenizer.stat().st_size * TOKENIZER_BYTES_PER_FILE_BYTE if tokenizer.is_file() else 0
    logits = max_batch * text.vocab_size * 4 * LOGIT_COPIES
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    rows = (TOKENS_ALONE + max_batch) * (3 * inner + 6 * text.hidden_size) * item
    return int(tokenizer_bytes + logits + rows)


def _makes_scores(folder: WeightFolder, text: Any) -> bool:
    """Whether attention has sinks or a softcap, see `slot_attention`."""
    has_sinks = any(tensor.name.endswith(".sinks") for tensor in folder.tensors)
    return has_sinks or bool(getattr(text, "attn_logit_softcapping", None))


def _attending(text: Any, positions: int, longest: int, max_batch: int, item: int, makes_scores: bool) -> int:
    """For a piece of a prompt at the end of the longest context, beside single tokens of others at theirs."""
    heads = text.num_attention_heads
    needed = TOKENS_ALONE * (1 + item) * longest  # the mask
    # Where there are less than 4 bytes, softmax makes float32 of the scores, and torch's own attention of everything.
    widened = 4 if item < 4 else 0
    if makes_scores:
        scores = max(SCORES_AT_ONCE, heads * min(positions, max_batch * longest))
        needed += scores * (2 * item + 4 + widened)
    elif getattr(text, "kv_lora_rank", None):
        # Keys and values of all heads are made of the latents; they differ in width, so torch makes all scores.
        scores = heads * TOKENS_ALONE * longest
        made = heads * longest * (text.qk_nope_head_dim + text.qk_rope_head_dim + text.v_head_dim)
        needed += scores * (3 * 4 + 1) + made * (2 * item + 4 + widened)
    return int(needed)
