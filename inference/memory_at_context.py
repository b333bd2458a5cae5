"""How much memory weights and a context take, as arithmetic that a page can show: no engine, no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryAtContext:
    """Bytes of the weights, and of keys and values of `tokens` tokens in each of `conversations`."""

    weights: int
    cached_numbers: int
    bytes_per_number: int
    tokens: int
    conversations: int

    @property
    def per_token(self) -> int:
        """Keys and values of one token."""
        return self.cached_numbers * self.bytes_per_number

    @property
    def keys_and_values(self) -> int:
        return self.per_token * self.tokens * self.conversations

    @property
    def total(self) -> int:
        return self.weights + self.keys_and_values


def weight_bytes_in(dtype: str, parameters: int | None, stored_bytes: int) -> int:
    """What the weights take when they are computed with in `dtype`; as stored where their number is not known.

    int8 has a scale per row, which is left out; int4 has a scale and a centre of 2 bytes each per 32 values.
    """
    bits = {"float32": 32, "bfloat16": 16, "float16": 16, "int8": 8, "int4": 5}.get(dtype)
    return parameters * bits // 8 if parameters and bits else stored_bytes
