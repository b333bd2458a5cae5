"""Layouts of weights against the plain product in float32."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.linear_layers import WIDENED_WEIGHTS, WidenedLinear

ONE_ROUNDING = torch.finfo(torch.bfloat16).eps


@given(st.integers(1, 40), st.integers(1, 90), st.integers(1, 90), st.booleans(), st.integers(0, 2**31))
def test_widened_products_are_those_of_float32_rounded_once(
    rows: int, inner: int, outer: int, has_bias: bool, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(outer, inner, generator=random).bfloat16()
    bias = torch.randn(outer, generator=random).bfloat16() if has_bias else None
    given_rows = torch.randn(rows, inner, generator=random).bfloat16()
    expected = torch.nn.functional.linear(given_rows.float(), weight.float(), None if bias is None else bias.float())
    layer = WidenedLinear(weight, bias)

    product = layer(given_rows)

    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product.float(), expected, rtol=ONE_ROUNDING, atol=ONE_ROUNDING)
    residual = torch.randn(rows, outer, generator=random).bfloat16()
    torch.testing.assert_close(layer.added_to(residual.clone(), given_rows), residual + product)


@pytest.mark.parametrize("outer", [1, 7, 8, 9])
def test_widened_weights_of_more_than_one_block_leave_nothing_out(outer: int) -> None:
    inner = WIDENED_WEIGHTS // 4
    weight = torch.ones(outer, inner, dtype=torch.bfloat16)
    product = WidenedLinear(weight, None)(torch.ones(3, inner, dtype=torch.bfloat16))
    assert torch.equal(product, torch.full((3, outer), float(inner), dtype=torch.bfloat16))
