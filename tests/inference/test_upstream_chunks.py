"""Whatever JSON an upstream sends, it is a chunk or it is malformed, and never an error of ours."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.upstream_chunks import Chunk, error_sentence, read_chunk
from inference.upstream_sse import ServerEvent, StreamMalformed

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400))
KEYS = st.sampled_from(
    ["choices", "delta", "content", "reasoning", "reasoning_content", "logprobs", "token", "logprob", "top_logprobs",
     "tokens", "token_logprobs", "token_ids", "id", "text", "usage", "prompt_tokens", "completion_tokens",
     "prompt_tokens_details", "cached_tokens", "finish_reason", "tool_calls", "error", "message", "detail", "msg"]
)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)
ENTRY = st.fixed_dictionaries({"token": LEAVES, "logprob": LEAVES}, optional={"id": LEAVES, "top_logprobs": ANYTHING})
CHOICE = st.fixed_dictionaries(
    {"delta": st.dictionaries(KEYS, LEAVES, max_size=3)},
    optional={
        "logprobs": st.one_of(ANYTHING, st.fixed_dictionaries({"content": st.lists(ENTRY, max_size=3)})),
        "token_ids": ANYTHING,
        "finish_reason": LEAVES,
    },
)
DOCUMENTS = st.one_of(
    ANYTHING, st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=2)}, optional={"usage": ANYTHING})
)


@given(DOCUMENTS, st.integers(0, 20))
def test_any_json_is_a_chunk_or_malformed(document: object, top_logprobs: int) -> None:
    with suppress(StreamMalformed):
        chunk = read_chunk(ServerEvent(json.dumps(document)), top_logprobs=top_logprobs)
        assert isinstance(chunk, Chunk)
        for token in chunk.tokens:
            assert math.isfinite(token.logprob)
            assert len(token.top) <= top_logprobs
            assert -1 <= token.id < 2**31


@given(ANYTHING)
def test_any_error_body_gives_a_sentence(document: object) -> None:
    assert isinstance(error_sentence(document), str)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "a", "error_type": "overloaded"}, "a"),
        ({"message": "a", "object": "error"}, "a"),
        ({"detail": "a"}, "a"),
        ({"detail": [{"msg": "a", "loc": ["body"]}]}, "a"),
        ({"error": {"code": 3}}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_error_bodies_as_servers_write_them(document: object, sentence: str) -> None:
    assert error_sentence(document) == sentence
