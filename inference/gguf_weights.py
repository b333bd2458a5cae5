"""Reads a GGUF file through transformers and writes it as a plain folder: the slow half of `gguf_conversion`."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from gguf import GGUFReader
from tokenizers import pre_tokenizers

from inference.compute_threads import computing
from inference.gguf_reading import read_once
from inference.model_loading import ONE_LOAD_AT_A_TIME

Report = Callable[[float, str], None]


class DamagedFile(ValueError):
    """The file's content cannot be read as weights with a tokenizer."""


@computing()
def write_folder(source: Path, folder: Path, report: Report) -> None:
    """Write config, tokenizer and bfloat16 safetensors into the existing `folder`.

    Raises DamagedFile when the source cannot be read; OSError when the folder cannot be written.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        report(0.0, "reading the tokenizer")
        with read_once(source) as reader:
            tokenizer = _tokenizer(source, reader)
            report(0.2, "unpacking the weights")
            # transformers draws a bar of its own for this, whatever its logging is told.
            with contextlib.redirect_stderr(io.StringIO()):
                model = _model(source)
    except (ValueError, KeyError, IndexError, RuntimeError, NotImplementedError, struct.error) as error:
        raise DamagedFile(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    tokenizer.model_max_length = model.config.max_position_embeddings
    report(0.8, "writing the weights")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors creates its files for the owner alone


def _tokenizer(source: Path, reader: GGUFReader) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    field = reader.get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        # transformers gives every "llama" GGUF GPT-2's splitting; SmolLM's own also splits each digit off first, which
        # changes how spaces before a number are cut (seen in the published tokenizer.json).
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
            ]
        )
    return tokenizer


def _model(source: Path) -> Any:
    options: dict[str, Any] = {"dtype": torch.bfloat16, "gguf_file": source.name}
    if hasattr(transformers, "GgufConfig"):
        # Newer versions would otherwise keep the packed blocks where they find a kernel for them.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with ONE_LOAD_AT_A_TIME:
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(source.parent, **options)
    # The tensors are plain by now; what marks them as packed would forbid saving them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model
