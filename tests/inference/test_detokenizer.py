"""Streamed text is whole characters only, and joined it is the full decode."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inference.detokenizer import TextStream, Vocabulary
from tests.inference.tiny_models import tiny_tokenizer


def _metaspace_tokenizer() -> Any:
    """A sentencepiece-like vocabulary with byte fallback, as Llama 2 and Gemma have."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "▁the", "▁dog", "▁a", "s", "e", "x", ",", "▁▁", "你", "é", "\n"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS: dict[str, Any] = {"byte-level": tiny_tokenizer(), "metaspace": _metaspace_tokenizer()}


def _stream(tokenizer: Any, token_ids: list[int]) -> tuple[list[str], str]:
    stream = TextStream(Vocabulary(tokenizer))
    return [stream.push(token_id) for token_id in token_ids], stream.flush()


def _full(tokenizer: Any, token_ids: list[int]) -> str:
    return str(tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_tokens_joined_are_the_full_decode(kind: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[kind]
    token_ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=40))
    pieces, rest = _stream(tokenizer, token_ids)
    assert "".join(pieces) + rest == _full(tokenizer, token_ids)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_real_text_streams_as_whole_characters(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    token_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces, rest = _stream(tokenizer, token_ids)
    assert "".join(pieces) + rest == _full(tokenizer, token_ids)
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)


@pytest.mark.parametrize("text", ["🎉👩‍🚀!", "你好,世界", "e\u0301a\u0308 ok", "\u0915\u094d\u0937 x", "naïve"])
def test_a_character_of_several_tokens_appears_at_its_last(text: str) -> None:
    tokenizer = TOKENIZERS["byte-level"]
    token_ids = [tokenizer.convert_tokens_to_ids(piece) for piece in _bytes_as_pieces(text)]
    pieces, rest = _stream(tokenizer, token_ids)
    assert rest == ""
    assert [piece for piece in pieces if piece] == list(text)


def _bytes_as_pieces(text: str) -> list[str]:
    """One token per byte, which the vocabulary has because of its initial alphabet."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return [character for piece, _ in level.pre_tokenize_str(text) for character in piece]


def test_special_tokens_never_show() -> None:
    tokenizer = TOKENIZERS["byte-level"]
    token_ids = [1, *tokenizer("the dog")["input_ids"], 2]
    pieces, rest = _stream(tokenizer, token_ids)
    assert "".join(pieces) + rest == "the dog"


def test_an_unfinished_character_is_held_until_the_end() -> None:
    tokenizer = TOKENIZERS["byte-level"]
    token_ids = [tokenizer.convert_tokens_to_ids(piece) for piece in _bytes_as_pieces("🎉")][:-1]
    pieces, rest = _stream(tokenizer, token_ids)
    assert pieces == ["", "", ""]
    assert rest == _full(tokenizer, token_ids)


def test_text_follows_its_tokens_at_once_in_plain_text() -> None:
    tokenizer = TOKENIZERS["byte-level"]
    token_ids = tokenizer("The quick brown fox")["input_ids"]
    pieces, rest = _stream(tokenizer, token_ids)
    assert all(pieces)
    assert rest == ""
