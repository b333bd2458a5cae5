"""The engine on transformers' own ContinuousBatchingManager, for accelerators: paged keys and values, one batch."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from inference.channels import channel_reader_maker
from inference.chat_prompt import PromptRenderer
from inference.detokenizer import Vocabulary
from inference.engine import Listener
from inference.engine_thread import EngineThread
from inference.managed_runner import ManagedModel, ManagedRunner
from inference.model_loading import context_length, end_ids, load_config, load_model, load_tokenizer
from inference.process_memory import available_memory
from inference.sampler import compile_choosing
from inference.weight_folder import WeightFolder, WeightsRefused, digests, read_weight_folder

DTYPES: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
PAGE_TOKENS: Final = 256
# Beside the weights: what the libraries and one step take on the device.
WORKING_SHARE: Final = 0.1


class ContinuousBatchingEngine(EngineThread):
    """Local weights on a device behind the `Engine` interface; made by `load_continuous_batching_engine`."""

    def __init__(self, listener: Listener, model: ManagedModel, facts: dict[str, object]) -> None:
        super().__init__(listener, ManagedRunner(model), provenance=lambda: dict(facts))


def load_continuous_batching_engine(
    folder: Path,
    *,
    listener: Listener,
    device: str = "cuda",
    dtype: str = "bfloat16",
    max_batch: int = 16,
    kv_budget_tokens: int | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> ContinuousBatchingEngine:
    """Load a safetensors folder onto a device and start its engine.

    `max_batch` requests run at once; `kv_budget_tokens` positions of keys and values are held, by default what the
    device has room for (on the processor: 2048 for each request). Raises WeightsRefused with one sentence when the
    folder must not or cannot be loaded, and ValueError for an argument out of range.
    """
    report = on_progress or (lambda _share, _stage: None)
    if dtype in {"int8", "int4"}:
        raise WeightsRefused(f"{dtype} weights run on the processor alone.")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: must be one of {', '.join(DTYPES)}")
    if max_batch < 1:
        raise ValueError("max_batch: must be at least 1")
    report(0.0, "checking the files")
    checked = read_weight_folder(Path(folder))
    context = context_length(load_config(checked))
    _require_memory(checked, DTYPES[dtype], device)
    file_digests = digests(checked, lambda share: report(0.05 + 0.15 * share, "computing digests"))
    report(0.2, "loading the tokenizer")
    tokenizer = load_tokenizer(checked)
    report(0.3, "loading the weights")
    model = load_model(checked, DTYPES[dtype]).to(device)
    ends = end_ids(model, tokenizer)
    compile_choosing(torch.float32)
    budget = kv_budget_tokens or (max_batch * min(context, 2_048) if device == "cpu" else None)
    report(0.8, "making room for keys and values")
    managed = ManagedModel(
        make_manager=lambda: _manager(model, ends, max_batch=max_batch, budget=budget),
        vocabulary=Vocabulary(tokenizer),
        renderer=PromptRenderer(tokenizer),
        channel_reader=channel_reader_maker(tokenizer),
        end_ids=ends,
        context_length=context if budget is None else min(context, _pages(budget) * PAGE_TOKENS),
        vocabulary_size=model.get_input_embeddings().num_embeddings,
        name=checked.path.name,
    )
    facts: dict[str, object] = {
        "engine": "transformers continuous batching",
        "model": checked.path.name,
        "architecture": type(model).__name__,
        "parameters": model.num_parameters(),
        "weights_sha256": file_digests,
        "chat_template_sha256": managed.renderer.template_sha256,
        "dtype": dtype,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "forward": f"paged, {model.config._attn_implementation}",  # noqa: SLF001 - it has no public name
        "context_length": context,
        "kv_budget_tokens": budget,
        "max_batch": max_batch,
        "end_token_ids": sorted(ends),
        "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")},
        "python": platform.python_version(),
    }
    engine = ContinuousBatchingEngine(listener, managed, facts)
    report(1.0, "ready")
    return engine


def _manager(model: Any, ends: frozenset[int], *, max_batch: int, budget: int | None) -> Any:
    configure: Any = GenerationConfig
    generation = configure(do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=0)
    return model.init_continuous_batching(
        generation_config=generation,
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=PAGE_TOKENS,
            num_blocks=None if budget is None else _pages(budget),
            max_batch_tokens=512 if model.device.type == "cpu" else None,
            max_requests_per_batch=max_batch,
            # Sampling happens in Python between two steps: nothing may be captured or run ahead of it.
            use_cuda_graph=False,
            use_async_batching=False,
            # What one request computed would otherwise become another's beginning, and it could not repeat exactly.
            allow_block_sharing=False,
        ),
    )


def _pages(budget: int) -> int:
    return max(1, budget // PAGE_TOKENS)


def _require_memory(folder: WeightFolder, dtype: torch.dtype, device: str) -> None:
    """Raises WeightsRefused where the weights alone do not fit."""
    available = available_memory() if device == "cpu" else torch.cuda.mem_get_info()[0]
    needed = int(folder.parameters * dtype.itemsize * (1 + WORKING_SHARE))
    if available is not None and needed > available:
        raise WeightsRefused(
            f"{folder.path.name} needs {needed / 2**30:.2f} GiB of memory before its keys and values, and "
            f"{available / 2**30:.2f} GiB are available."
        )
