"""The engine on local weights with transformers and torch: loads a folder, then batches requests continuously."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
import transformers

from inference.batch_forward import BatchForward
from inference.batch_runner import BatchRunner, LoadedModel
from inference.channels import channel_reader_maker
from inference.chat_prompt import PromptRenderer
from inference.detokenizer import Vocabulary
from inference.engine import Listener
from inference.engine_thread import EngineThread
from inference.forward_choice import NoSuchVariant, choose_forward, choose_int8_forward
from inference.key_value_slots import KeyValueSlots
from inference.weight_folder import WeightFolder, WeightsRefused, digests, read_weight_folder

DTYPES: Final = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "int8": torch.bfloat16,  # weight-only: everything else is computed in bfloat16
}
DEFAULT_POSITIONS_PER_REQUEST: Final = 2_048
# Beside the weights: the step's activations, the tokenizer, torch's own libraries.
MEMORY_SLACK_BYTES: Final = 256 * 2**20

ProgressListener = Callable[[float, str], None]


class TransformersEngine(EngineThread):
    """Local weights behind the `Engine` interface; made by `load_engine`."""

    def __init__(
        self, listener: Listener, model: LoadedModel, facts: dict[str, object], *, max_batch: int, threads: int | None
    ) -> None:
        super().__init__(
            listener, BatchRunner(model, max_batch=max_batch, threads=threads), provenance=lambda: dict(facts)
        )


def load_engine(
    folder: Path,
    *,
    listener: Listener,
    dtype: str = "bfloat16",
    max_batch: int = 16,
    kv_budget_tokens: int | None = None,
    threads: int | None = None,
    on_progress: ProgressListener | None = None,
) -> TransformersEngine:
    """Load a safetensors folder and start its engine.

    `max_batch` requests run at once; `kv_budget_tokens` positions of keys and values are held at most (by default
    2048 for each request, and a whole context at least); `threads` are torch's, None leaves its own choice;
    `on_progress` gets the share done, 0 to 1, and what is being done.
    Raises WeightsRefused (a ValueError) with one sentence when the folder must not or cannot be loaded, and ValueError
    for an argument out of range. `dtype` "int8" rounds the weights to int8 and computes in bfloat16.
    """
    report = on_progress or (lambda _share, _stage: None)
    if dtype not in DTYPES:
        raise ValueError(f"dtype: must be one of {', '.join(DTYPES)}")
    if max_batch < 1:
        raise ValueError("max_batch: must be at least 1")
    report(0.0, "checking the files")
    checked = read_weight_folder(Path(folder))
    _require_memory(checked, DTYPES[dtype])
    file_digests = digests(checked, lambda share: report(0.05 + 0.15 * share, "computing digests"))
    report(0.2, "loading the tokenizer")
    tokenizer = _load_tokenizer(checked)
    report(0.3, "loading the weights")
    model = _load_model(checked, DTYPES[dtype])
    context_length = _context_length(model.config)
    budget = kv_budget_tokens or max(context_length, max_batch * min(context_length, DEFAULT_POSITIONS_PER_REQUEST))
    slots = KeyValueSlots(budget=budget, longest=context_length)
    report(0.8, "trying the fast path")
    forward = _forward(model, slots, dtype)
    end_ids = _end_ids(model, tokenizer)
    renderer = PromptRenderer(tokenizer)
    loaded = LoadedModel(
        forward=forward,
        slots=slots,
        vocabulary=Vocabulary(tokenizer),
        renderer=renderer,
        channel_reader=channel_reader_maker(tokenizer),
        end_ids=end_ids,
        context_length=context_length,
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
        "context_length": context_length,
        "kv_budget_tokens": budget,
        "max_batch": max_batch,
        "threads": threads or torch.get_num_threads(),
        "end_token_ids": sorted(end_ids),
        "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "safetensors")},
        "python": platform.python_version(),
    }
    engine = TransformersEngine(listener, loaded, facts, max_batch=max_batch, threads=threads)
    report(1.0, "ready")
    return engine


def _forward(model: Any, slots: KeyValueSlots, dtype: str) -> BatchForward:
    available = _available_memory()
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    may_copy = available is None or weights + MEMORY_SLACK_BYTES < available
    try:
        if dtype == "int8":
            return choose_int8_forward(model, slots)
        return choose_forward(model, slots, may_copy=may_copy)
    except NoSuchVariant as error:
        raise WeightsRefused(str(error)) from error


def _require_memory(folder: WeightFolder, dtype: torch.dtype) -> None:
    needed = (folder.parameters * dtype.itemsize + MEMORY_SLACK_BYTES) / 2**30
    available = _available_memory()
    if available is not None and needed > available / 2**30:
        raise WeightsRefused(
            f"{folder.path.name} needs {needed:.1f} GiB of memory, and {available / 2**30:.1f} GiB are available."
        )


def _available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _load_tokenizer(folder: WeightFolder) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise WeightsRefused(f"The tokenizer of {folder.path.name} cannot be loaded: {_first_line(error)}") from error


def _load_model(folder: WeightFolder, dtype: torch.dtype) -> Any:
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    load: Any = transformers.AutoModelForCausalLM.from_pretrained
    try:
        model, info = load(
            folder.path,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise WeightsRefused(f"The weights of {folder.path.name} cannot be loaded: {_first_line(error)}") from error
    # transformers fills what is missing with random numbers and only warns; that would answer nonsense.
    if info["missing_keys"] or info["mismatched_keys"]:
        missing = sorted(str(key) for key in (*info["missing_keys"], *info["mismatched_keys"]))
        raise WeightsRefused(f"{folder.path.name} lacks weights: {', '.join(missing[:3])}{'…' * (len(missing) > 3)}.")
    model.eval()
    return model


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _context_length(config: Any) -> int:
    text_config = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        length = getattr(text_config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    raise WeightsRefused("The configuration does not say how long the context is.")


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that any of the model's own files names as an end of text."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        found.update(value if isinstance(value, list | tuple) else [value] if value is not None else [])
    return frozenset(found)


# Rust's tokenizers warn and switch themselves off in a forked child unless told that this is wanted.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
