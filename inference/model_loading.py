"""A checked folder through transformers' own loading: from files alone, no code of theirs, no weight made up."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

import torch
import transformers

from inference.config_names import CONTEXT_NAMES
from inference.weight_folder import WeightFolder, WeightsRefused

# Rust's tokenizers warn and switch themselves off in a forked child unless told that this is wanted.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# transformers 5 changes torch's own functions while it loads: of two loads at once in one process, each then says that
# tied weights are missing.
ONE_LOAD_AT_A_TIME: Final = threading.Lock()


def load_config(folder: WeightFolder) -> Any:
    """transformers' configuration. Raises WeightsRefused."""
    try:
        return transformers.AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise WeightsRefused(f"The configuration of {folder.path.name} cannot be read: {_first_line(error)}") from error


def load_tokenizer(folder: WeightFolder) -> Any:
    """The tokenizer. Raises WeightsRefused."""
    try:
        return transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise WeightsRefused(f"The tokenizer of {folder.path.name} cannot be loaded: {_first_line(error)}") from error


def load_model(folder: WeightFolder, dtype: torch.dtype) -> Any:
    """The model on the processor, in a dtype, with every weight that it needs; one at a time. Raises WeightsRefused."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    load: Any = transformers.AutoModelForCausalLM.from_pretrained
    try:
        with ONE_LOAD_AT_A_TIME:
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


def context_length(config: Any) -> int:
    """The most positions that the model reads. Raises WeightsRefused."""
    text_config = config.get_text_config()
    for name in CONTEXT_NAMES:
        length = getattr(text_config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    raise WeightsRefused("The configuration does not say how long the context is.")


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that any of the model's own files names as an end of text, and that the model can choose."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        found.update(value if isinstance(value, list | tuple) else [value] if value is not None else [])
    return frozenset(each for each in found if each < model.get_input_embeddings().num_embeddings)
