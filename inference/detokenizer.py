"""Tokens to text, one at a time: shows whole characters only, and joined it is exactly the decoding of the whole."""

from __future__ import annotations

import re
from typing import Any, Final

REPLACEMENT_CHARACTER: Final = "\ufffd"
_BYTE_TOKEN: Final = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class Vocabulary:
    """What the engine needs of a tokenizer, with its answers remembered per token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._texts: dict[int, str] = {}
        self._shown: dict[int, str] = {}
        self._byte_tokens: dict[int, bool] = {}

    def decode(self, token_ids: list[int]) -> str:
        """The text of the tokens without special ones."""
        if len(token_ids) != 1:
            return self._decoded(token_ids)
        text = self._shown.get(token_ids[0])
        if text is None:
            text = self._shown[token_ids[0]] = self._decoded(token_ids)
        return text

    def _decoded(self, token_ids: list[int]) -> str:
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def text(self, token_id: int) -> str:
        """The text of one token by itself, special or not; U+FFFD stands for part of a character."""
        text = self._texts.get(token_id)
        if text is None:
            text = str(self._tokenizer.decode([token_id], clean_up_tokenization_spaces=False))
            self._texts[token_id] = text
        return text

    def is_special(self, token_id: int) -> bool:
        """Whether the token is a mark such as end of text, which never shows."""
        return token_id in self._special

    def is_byte(self, token_id: int) -> bool:
        """Whether the token is a single byte of a sentencepiece vocabulary (`<0xE2>`)."""
        known = self._byte_tokens.get(token_id)
        if known is None:
            piece = self._tokenizer.convert_ids_to_tokens(token_id)
            known = isinstance(piece, str) and _BYTE_TOKEN.fullmatch(piece) is not None
            self._byte_tokens[token_id] = known
        return known


class TextStream:
    """Text of a growing token sequence.

    Decoders look at neighbours (a leading space is stripped, bytes are joined to characters), so each piece is
    decoded behind the piece before it, and given out when no later token can change it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._context: list[int] = []
        self._context_text = ""
        self._pending: list[int] = []

    def push(self, token_id: int) -> str:
        """The text that this token completes, possibly none."""
        if self._vocabulary.is_special(token_id):
            return ""
        self._pending.append(token_id)
        # A run of byte tokens is decoded as a whole: one more byte can turn all of it into replacement characters.
        if self._vocabulary.is_byte(token_id):
            return ""
        return self._take(final=False)

    def flush(self) -> str:
        """What is still held back; an incomplete character shows as U+FFFD."""
        return self._take(final=True)

    def _take(self, *, final: bool) -> str:
        if not self._pending:
            return ""
        text = self._vocabulary.decode(self._context + self._pending)
        if not final and (text.endswith(REPLACEMENT_CHARACTER) or not text.startswith(self._context_text)):
            return ""
        shown = text[len(self._context_text) :]
        if shown:
            self._context, self._pending = self._pending, []
            self._context_text = self._vocabulary.decode(self._context)
        return shown
