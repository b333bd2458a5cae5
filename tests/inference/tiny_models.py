"""Tiny models with random weights and a trained byte-level tokenizer, saved as real folders for the real loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "tell me a story of a lighthouse and its keeper, who lived by the sea for forty years",
    "naïve café 你好世界 🎉👩‍🚀 e\u0301 \u0915\u094d\u0937 приве́т",
    "def f(x):\n    return x + 12345",
]
CONTEXT = 8_192
WINDOW = 16

_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": CONTEXT,
    # Far from the usual 0.02: decisive logits, so that rounding cannot flip a greedy choice.
    "initializer_range": 0.25,
}


def tiny_tokenizer(*, chat: bool = True, extra_special: tuple[str, ...] = ()) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *extra_special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    make: Any = PreTrainedTokenizerFast
    wrapped = make(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    if chat:
        wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def _gpt2(vocabulary: int) -> Any:
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT, initializer_range=0.25
    )
    return GPT2LMHeadModel(config)


def _llama(vocabulary: int) -> Any:
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **_SMALL))


def _mistral(vocabulary: int) -> Any:
    return MistralForCausalLM(MistralConfig(vocab_size=vocabulary, sliding_window=WINDOW, **_SMALL))


def _qwen2(vocabulary: int) -> Any:
    small = {name: value for name, value in _SMALL.items() if name != "head_dim"}
    layer_types = ["full_attention", "sliding_attention"]
    config = Qwen2Config(
        vocab_size=vocabulary, use_sliding_window=True, sliding_window=WINDOW, layer_types=layer_types, **small
    )
    model: Any = Qwen2ForCausalLM(config)
    for layer in model.model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            torch.nn.init.normal_(projection.bias, std=0.1)
    return model


def _qwen3(vocabulary: int) -> Any:
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=vocabulary, **_SMALL))


def _gemma3(vocabulary: int) -> Any:
    layer_types = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(vocab_size=vocabulary, sliding_window=WINDOW, layer_types=layer_types, **_SMALL)
    return Gemma3ForCausalLM(config)


def _mixtral(vocabulary: int) -> Any:
    config = MixtralConfig(vocab_size=vocabulary, num_local_experts=4, num_experts_per_tok=2, **_SMALL)
    return MixtralForCausalLM(config)


def _deepseek_v3(vocabulary: int) -> Any:
    small = {name: value for name, value in _SMALL.items() if name != "head_dim"} | {"num_key_value_heads": 4}
    config = DeepseekV3Config(
        vocab_size=vocabulary,
        moe_intermediate_size=32,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_shared_experts=1,
        n_group=2,
        topk_group=1,
        first_k_dense_replace=1,
        kv_lora_rank=16,
        q_lora_rank=24,
        qk_rope_head_dim=8,
        qk_nope_head_dim=16,
        v_head_dim=16,
        **small,
    )
    return DeepseekV3ForCausalLM(config)


def _gpt_oss(vocabulary: int) -> Any:
    config = GptOssConfig(
        vocab_size=vocabulary,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
        **_SMALL,
    )
    model: Any = GptOssForCausalLM(config)
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.sinks)
    return model


ARCHITECTURES: dict[str, Callable[[int], Any]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma3": _gemma3,
    "mixtral": _mixtral,
    "deepseek_v3": _deepseek_v3,
    "gpt_oss": _gpt_oss,
}


def save_tiny_model(architecture: str, folder: Path, *, chat: bool = True, extra_special: tuple[str, ...] = ()) -> Path:
    """Make the model with fixed random weights and save it as a folder."""
    tokenizer = tiny_tokenizer(chat=chat, extra_special=extra_special)
    torch.manual_seed(7)
    model = ARCHITECTURES[architecture](len(tokenizer)).to(torch.float32).eval()
    end_id = tokenizer.eos_token_id
    model.config.eos_token_id = model.generation_config.eos_token_id = end_id
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.config.bos_token_id = model.generation_config.bos_token_id = tokenizer.bos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
