"""Messages to the exact text and tokens that the model reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from inference.channels import answer_opening
from inference.engine import GenerationRequest
from inference.events import FailureCode


class PromptRefused(ValueError):
    """The messages cannot be rendered; `code` and the message are for the person who asked."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads."""

    text: str
    token_ids: tuple[int, ...]


class PromptRenderer:
    """Renders with the tokenizer's own chat template; a base model without one continues the joined contents."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._answer_opening = answer_opening(tokenizer)

    @property
    def has_chat_template(self) -> bool:
        return bool(self._tokenizer.chat_template)

    @property
    def template_sha256(self) -> str | None:
        """The digest of the chat template, None without one."""
        template = self._tokenizer.chat_template
        return hashlib.sha256(str(template).encode()).hexdigest() if template else None

    def render(self, request: GenerationRequest) -> Prompt:
        """Raises PromptRefused when the template or the tokenizer cannot take the messages."""
        is_chat = self._is_chat(request)
        text = self._chat_text(request) if is_chat else "".join(message.content for message in request.messages)
        # A template writes its own marks; plain text gets those that the tokenizer adds (a first token, say).
        token_ids = self.tokens(text, marked=not is_chat)
        if not token_ids:
            raise PromptRefused(FailureCode.TOKENIZER, "The prompt is empty: this model needs at least one token.")
        return Prompt(text, token_ids)

    def beginning_tokens(self, text: str, request: GenerationRequest) -> tuple[int, ...]:
        """The tokens of an answer that begins with a text. Raises PromptRefused."""
        return self.tokens((self._answer_opening if self._is_chat(request) else "") + text)

    def tokens(self, text: str, *, marked: bool = False) -> tuple[int, ...]:
        """A text's tokens, with the marks that the tokenizer adds to a whole text if `marked`. Raises PromptRefused."""
        try:
            return tuple(self._tokenizer(text, add_special_tokens=marked)["input_ids"])
        except Exception as error:
            raise PromptRefused(FailureCode.TOKENIZER, f"The prompt cannot be split into tokens: {error}.") from error

    def _is_chat(self, request: GenerationRequest) -> bool:
        return self.has_chat_template and not request.completion

    def _chat_text(self, request: GenerationRequest) -> str:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        # A last message of the assistant is the beginning of the answer, to be continued.
        continues = request.messages[-1].role == "assistant"
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=not continues, continue_final_message=continues
            )
        except (TemplateError, ValueError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            sentence = f"The model's chat template refuses these messages: {reason}."
            raise PromptRefused(FailureCode.UNSUPPORTED, sentence) from error
        return str(text)
