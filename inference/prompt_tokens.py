"""Counts what a prompt costs before it is sent: the model's own tokenizer and chat template, without torch.

The same files that the engine reads, read by `tokenizers` and Jinja alone, so that a web process can count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from inference.engine import Message

TOKENIZER_FILE: Final = "tokenizer.json"
_SPECIAL_NAMES: Final = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class PromptUncountable(ValueError):
    """The folder's files do not say how its model reads a prompt, or its template refuses these messages."""


class _GenerationMark(Extension):
    """`{% generation %}…{% endgeneration %}` marks the assistant's words for training; here they are just rendered."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return list(parser.parse_statements(("name:endgeneration",), drop_needle=True))


class PromptCounter:
    """One model's tokenizer and chat template. Counting may be called from any thread."""

    def __init__(self, tokenizer: Tokenizer, template: str, special_tokens: Mapping[str, str]) -> None:
        self._tokenizer = tokenizer
        self._template = _environment().from_string(template) if template else None
        self._special_tokens = dict(special_tokens)

    @classmethod
    def from_folder(cls, folder: Path) -> PromptCounter:
        """Read a weight folder's tokenizer. Raises PromptUncountable."""
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            config = _read_config(folder / "tokenizer_config.json")
            return cls(tokenizer, _read_template(folder, config), _special_tokens(config))
        except PromptUncountable:
            raise
        except Exception as error:  # tokenizers raises bare Exceptions
            raise PromptUncountable(f"{folder.name}: {error}") from error

    @property
    def has_chat_template(self) -> bool:
        return self._template is not None

    def render(self, messages: Sequence[Message]) -> str:
        """The text that the model reads for a chat. Raises PromptUncountable."""
        if self._template is None:
            return "".join(message.content for message in messages)
        continues = bool(messages) and messages[-1].role == "assistant"
        try:
            text = self._template.render(
                messages=[{"role": each.role, "content": each.content} for each in messages],
                add_generation_prompt=not continues,
                tools=None,
                documents=None,
                **self._special_tokens,
            )
        except (TemplateError, SecurityError, TypeError, ValueError, ArithmeticError) as error:
            raise PromptUncountable(f"The chat template refuses these messages: {error}") from error
        if not continues:
            return text
        # As transformers' continue_final_message: what the template writes behind the last words is left out.
        ending = messages[-1].content.strip()
        return text[: text.rindex(ending) + len(ending)] if ending in text else text

    def count_chat(self, messages: Sequence[Message]) -> int:
        """Tokens of a chat with everything that its template adds. Raises PromptUncountable."""
        return len(self._encode(self.render(messages), is_chat=self.has_chat_template))

    def count_text(self, text: str) -> int:
        """Tokens of a text that is continued as it stands."""
        return len(self._encode(text, is_chat=False))

    def _encode(self, text: str, *, is_chat: bool) -> list[int]:
        # A template writes its own marks; plain text gets those that the tokenizer adds.
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=not is_chat).ids
        return ids


def _environment() -> ImmutableSandboxedEnvironment:
    """Templates come with weights from anywhere: they are run in Jinja's sandbox, as transformers does."""

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationMark, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)  # noqa: DTZ005  as transformers
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    # Jinja's own escapes HTML.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    config = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise PromptUncountable(f"{path.name} is no JSON object")
    return config


def _read_template(folder: Path, config: Mapping[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template") or ""
    if isinstance(template, list):
        # Several by name; the engine takes "default" too.
        named = {each.get("name"): each.get("template", "") for each in template if isinstance(each, dict)}
        template = named.get("default", "")
    return str(template)


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """Name → text of the tokens that templates refer to; a token is a string or an object with its content."""
    found = {name: _token_text(config.get(name)) for name in _SPECIAL_NAMES}
    return {name: text for name, text in found.items() if text is not None}


def _token_text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None
