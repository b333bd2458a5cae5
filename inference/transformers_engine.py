"""The engine on local weights with transformers and torch: loads a folder, then batches requests continuously."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch

from inference.adapted_engine import AdaptedEngine
from inference.adapter_facts import short_base_name
from inference.adapter_folder import read_adapter_folder
from inference.adapters import AdapterBank
from inference.batch_forward import BatchForward
from inference.batch_runner import BatchRunner
from inference.channels import channel_reader_maker
from inference.chat_prompt import PromptRenderer
from inference.compute_threads import computing
from inference.detokenizer import Vocabulary
from inference.engine import Listener
from inference.engine_thread import EngineThread
from inference.forward_choice import ROUNDINGS, NoSuchVariant, choose_forward, choose_rounded_forward
from inference.key_value_slots import KeyValueSlots
from inference.loaded_model import LoadedModel
from inference.memory_need import MemoryNeed, memory_need
from inference.model_loading import context_length, end_ids, load_config, load_model, load_tokenizer
from inference.process_memory import available_memory, large_blocks_apart, return_freed_memory
from inference.sampler import compile_choosing
from inference.weight_folder import WeightFolder, WeightsRefused, digests, read_weight_folder

DTYPES: Final = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    # Weight-only: everything else is computed in bfloat16.
    "int8": torch.bfloat16,
    "int4": torch.bfloat16,
}
DEFAULT_POSITIONS_PER_REQUEST: Final = 2_048
ProgressListener = Callable[[float, str], None]


class TransformersEngine(EngineThread):
    """Local weights behind the `Engine` interface; made by `load_engine`."""

    def __init__(
        self,
        listener: Listener,
        model: LoadedModel,
        facts: dict[str, object],
        *,
        max_batch: int,
        threads: int | None,
        guesses_ahead: bool,
    ) -> None:
        self._base_name = model.name
        self._adapters = model.adapters
        runner = BatchRunner(model, max_batch=max_batch, threads=threads, guesses_ahead=guesses_ahead)
        super().__init__(listener, runner, provenance=lambda: dict(facts))

    def with_adapter(self, folder: Path, *, name: str | None = None, is_trusted: bool = False) -> AdaptedEngine:
        """This engine under a LoRA adapter (peft's folder), whose requests run in the same batches on the same weights.

        `name` is what requests call it, by default the folder's. With `is_trusted` the caller says that it belongs to
        this base, whatever its configuration calls that. Raises WeightsRefused when it must not or cannot be applied:
        pickles, another base, other sizes, an option that changes more than linear layers.
        """
        path = Path(folder)
        adapter = read_adapter_folder(path, base_name=short_base_name(path) if is_trusted else self._base_name)
        name = name or path.name
        self._adapters.attach(name, adapter)
        ranks = sorted({factors.rank for factors in adapter.modules.values()})
        facts: dict[str, object] = {
            "name": name,
            "sha256": adapter.sha256(),
            "ranks": ranks,
            "alpha": adapter.alpha,
            "modules": len(adapter.modules),
        }
        return AdaptedEngine(self, name, facts, detach=lambda: self._adapters.detach(name))


@computing()
def load_engine(
    folder: Path,
    *,
    listener: Listener,
    dtype: str = "bfloat16",
    max_batch: int = 16,
    kv_budget_tokens: int | None = None,
    threads: int | None = None,
    guesses_ahead: bool = True,
    on_progress: ProgressListener | None = None,
) -> TransformersEngine:
    """Load a safetensors folder and start its engine.

    `max_batch` requests run at once; `kv_budget_tokens` positions of keys and values are held at most (by default
    2048 for each request, and a whole context at least); `threads` are torch's, None leaves its own choice;
    with `guesses_ahead` greedy requests verify several tokens at once where they repeat their prompt or themselves;
    `on_progress` gets the share done, 0 to 1, and what is being done.
    Raises WeightsRefused (a ValueError) with one sentence when the folder must not or cannot be loaded, and ValueError
    for an argument out of range. `dtype` "int8" rounds the weights to int8, "int4" to GGUF's Q4_1 (the output layer to
    int8); both compute in bfloat16.
    """
    report = on_progress or (lambda _share, _stage: None)
    if dtype not in DTYPES:
        raise ValueError(f"dtype: must be one of {', '.join(DTYPES)}")
    if max_batch < 1:
        raise ValueError("max_batch: must be at least 1")
    report(0.0, "checking the files")
    checked = read_weight_folder(Path(folder))
    config = load_config(checked)
    context = context_length(config)
    budget = kv_budget_tokens or _default_positions(context, max_batch)
    may_copy = _require_memory(checked, config, dtype, max_batch, budget)
    file_digests = digests(checked, lambda share: report(0.05 + 0.15 * share, "computing digests"))
    report(0.2, "loading the tokenizer")
    tokenizer = load_tokenizer(checked)
    report(0.3, "loading the weights")
    slots = KeyValueSlots(budget=budget, longest=context)
    with large_blocks_apart():
        model = load_model(checked, DTYPES[dtype])
        report(0.8, "trying the fast path")
        forward = _forward(model, slots, dtype, may_copy=may_copy)
    adapters = AdapterBank(model)
    forward.adapt(adapters)
    compile_choosing(DTYPES[dtype])
    ends = end_ids(model, tokenizer)
    renderer = PromptRenderer(tokenizer)
    loaded = LoadedModel(
        forward=forward,
        adapters=adapters,
        slots=slots,
        vocabulary=Vocabulary(tokenizer),
        renderer=renderer,
        channel_reader=channel_reader_maker(tokenizer),
        end_ids=ends,
        context_length=context,
        vocabulary_size=model.get_input_embeddings().num_embeddings,
        name=checked.path.name,
    )
    facts: dict[str, object] = {
        "engine": "transformers",
        "model": checked.path.name,
        "architecture": type(model).__name__,
        "parameters": model.num_parameters(),
        "weights_sha256": file_digests,
        "chat_template_sha256": renderer.template_sha256,
        "dtype": dtype,
        "forward": forward.name,
        "guesses_ahead": guesses_ahead and forward.guessing.rows > 0,
        "context_length": context,
        "kv_budget_tokens": budget,
        "max_batch": max_batch,
        "threads": threads or torch.get_num_threads(),
        "end_token_ids": sorted(ends),
        "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")},
        "python": platform.python_version(),
    }
    del model  # a fused path has its own copies
    return_freed_memory()
    engine = TransformersEngine(
        listener, loaded, facts, max_batch=max_batch, threads=threads, guesses_ahead=guesses_ahead
    )
    report(1.0, "ready")
    return engine


def estimate_memory(
    folder: Path, *, dtype: str = "bfloat16", max_batch: int = 16, kv_budget_tokens: int | None = None
) -> MemoryNeed:
    """What `load_engine` with the same arguments will take, from the headers alone. Raises WeightsRefused."""
    checked = read_weight_folder(Path(folder))
    config = load_config(checked)
    positions = kv_budget_tokens or _default_positions(context_length(config), max_batch)
    return _need(checked, config, dtype, max_batch, positions, fused=True)


def _need(folder: WeightFolder, config: Any, dtype: str, max_batch: int, positions: int, *, fused: bool) -> MemoryNeed:
    return memory_need(
        folder,
        config,
        dtype=DTYPES[dtype],
        rounded=dtype if dtype in ROUNDINGS else None,
        max_batch=max_batch,
        positions=positions,
        fused=fused,
    )


def _require_memory(folder: WeightFolder, config: Any, dtype: str, max_batch: int, positions: int) -> bool:
    """Whether there is room for the fused path's copies. Raises WeightsRefused without room for the plain weights."""
    available = available_memory()
    fused = _need(folder, config, dtype, max_batch, positions, fused=True).peak
    if available is None or fused <= available:
        return True
    least = fused if dtype in ROUNDINGS else _need(folder, config, dtype, max_batch, positions, fused=False).peak
    if least > available:
        raise WeightsRefused(
            f"{folder.path.name} needs {least / 2**30:.2f} GiB of memory with its keys and values for {positions} "
            f"tokens, and {available / 2**30:.2f} GiB are available."
        )
    return False


def _default_positions(context_length: int, max_batch: int) -> int:
    return max(context_length, max_batch * min(context_length, DEFAULT_POSITIONS_PER_REQUEST))


def _forward(model: Any, slots: KeyValueSlots, dtype: str, *, may_copy: bool) -> BatchForward:
    try:
        if dtype in ROUNDINGS:
            return choose_rounded_forward(model, slots, dtype)
        return choose_forward(model, slots, may_copy=may_copy)
    except NoSuchVariant as error:
        raise WeightsRefused(str(error)) from error
