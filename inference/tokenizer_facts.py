"""Reads from a folder of weights what its tokenizer is: how many tokens, which special ones, its chat template."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.config_values import MAX_TEXT_CHARACTERS, is_storable, text_in
from inference.weight_tensors import MAX_JSON_BYTES, UnreadableWeights, read_json_object

MAX_TOKENIZER_BYTES: Final = 100_000_000
MAX_TEMPLATE_CHARACTERS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFacts:
    """What the files say. None or empty means that they do not say it.

    tokens: how many it has. special_tokens: begin, end, padding, unknown, as text.
    class_name: what transformers loads it as. model: its algorithm, such as BPE.
    """

    tokens: int | None
    special_tokens: dict[str, str]
    class_name: str
    model: str
    chat_template: str

    @property
    def chat_template_sha256(self) -> str:
        return hashlib.sha256(self.chat_template.encode()).hexdigest() if self.chat_template else ""


def read_tokenizer_facts(folder: Path) -> TokenizerFacts:
    """Read the tokenizer of a folder. Raises UnreadableWeights, or OSError when a file cannot be read."""
    settings = read_json_object(folder / "tokenizer_config.json") or {}
    tokenizer = read_json_object(folder / "tokenizer.json", MAX_TOKENIZER_BYTES) or {}
    return TokenizerFacts(
        tokens=_tokens(tokenizer),
        special_tokens=_special_tokens(settings),
        class_name=text_in(settings, "tokenizer_class"),
        model=_model(tokenizer),
        chat_template=_chat_template(folder, settings),
    )


def _tokens(tokenizer: Mapping[str, Any]) -> int | None:
    """The highest id and one, of the vocabulary and of what was added to it."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: list[Any] = []
    if isinstance(vocabulary, dict):
        ids = list(vocabulary.values())
    elif isinstance(vocabulary, list):
        ids = list(range(len(vocabulary)))
    if isinstance(added, list):
        ids += [each.get("id") for each in added if isinstance(each, dict)]
    highest: int = max((each for each in ids if type(each) is int and 0 <= each < 2**31), default=-1)
    return highest + 1 or None


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = settings.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if is_storable(text) and text:
            found[name] = text[:MAX_TEXT_CHARACTERS]
    return found


def _model(tokenizer: Mapping[str, Any]) -> str:
    model = tokenizer.get("model")
    return text_in(model, "type") if isinstance(model, dict) else ""


def _chat_template(folder: Path, settings: Mapping[str, Any]) -> str:
    """The template that transformers would take: a file of its own comes before the tokenizer's configuration."""
    path = folder / "chat_template.jinja"
    try:
        template: Any = path.read_bytes().decode("utf-8") if path.stat().st_size <= MAX_JSON_BYTES else None
    except FileNotFoundError:
        template = settings.get("chat_template", "")
    except ValueError as error:
        raise UnreadableWeights(f"{path.name}: not UTF-8") from error
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default", "")
    if not is_storable(template) or len(template) > MAX_TEMPLATE_CHARACTERS:
        raise UnreadableWeights(f"the chat template is not plain text of at most {MAX_TEMPLATE_CHARACTERS} characters")
    return template
