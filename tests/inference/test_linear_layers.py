"""Layouts of weights against the plain product in float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference import product_kernel
from inference.compute_threads import run_shared
from inference.linear_layers import NativeLinear

ONE_ROUNDING = torch.finfo(torch.bfloat16).eps


@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 150), st.booleans(), st.integers(0, 2**31))
def test_native_products_are_those_of_float32_rounded_once(
    rows: int, inner: int, outer: int, has_bias: bool, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(outer, inner, generator=random).bfloat16()
    bias = torch.randn(outer, generator=random).bfloat16() if has_bias else None
    given_rows = torch.randn(rows, inner, generator=random).bfloat16()
    expected = torch.nn.functional.linear(given_rows.float(), weight.float(), None if bias is None else bias.float())
    layer = NativeLinear(weight, bias)

    product = layer(given_rows)

    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product.float(), expected, rtol=ONE_ROUNDING, atol=ONE_ROUNDING)


@given(st.integers(1, 20), st.integers(1, 90), st.integers(1, 150), st.booleans(), st.integers(0, 2**31))
def test_native_products_of_int8_are_those_of_the_scaled_weights(
    rows: int, inner: int, outer: int, has_bias: bool, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randint(-127, 128, (outer, inner), generator=random, dtype=torch.int8)
    scales = torch.rand(outer, generator=random) / 127
    bias = torch.randn(outer, generator=random).bfloat16() if has_bias else None
    given_rows = torch.randn(rows, inner, generator=random).bfloat16()
    expected = given_rows.float() @ (weight.float() * scales[:, None]).T + (0 if bias is None else bias.float())

    product = NativeLinear(weight, bias, scales)(given_rows)

    torch.testing.assert_close(product.float(), expected, rtol=ONE_ROUNDING, atol=ONE_ROUNDING)


def test_rows_that_do_not_fit_a_cores_cache_go_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_kernel, "CACHED_NUMBERS", 16 * 96)
    random = torch.Generator().manual_seed(7)
    weight = torch.randn(70, 96, generator=random).bfloat16()
    layer = NativeLinear(weight, None)
    for count in (15, 16, 17, 39):
        rows = torch.randn(count, 96, generator=random).bfloat16()
        product = layer(rows)
        torch.testing.assert_close(
            product.float(), rows.float() @ weight.float().T, rtol=ONE_ROUNDING, atol=ONE_ROUNDING
        )
        assert torch.equal(product[-1:], layer(rows[-1:])), "a row's numbers do not depend on its company"


def test_what_no_product_is_made_for_is_refused() -> None:
    rows, weight, scales = torch.ones(2, 32).bfloat16(), torch.ones(32, 32).bfloat16(), torch.ones(32)
    for wrong in (
        (rows.float(), weight),
        (rows[:, :16], weight),
        (rows, weight.float()),
        (rows, weight.float(), scales),
        (rows, weight, scales),
        (rows, weight.to(torch.int8)),
        (rows, weight.T[:, ::2]),
        (rows, weight.to(torch.int8), torch.ones(64)[::2]),
        (rows, weight[:4]),
    ):
        with pytest.raises(ValueError, match="have no product here"):
            product_kernel.multiply(*wrong)


def test_what_is_not_a_number_stays_so_in_a_native_product_and_is_its_own_rows_alone() -> None:
    rows = torch.ones(5, 24, dtype=torch.bfloat16)
    rows[3, 7] = torch.nan
    product = NativeLinear(torch.ones(3, 24, dtype=torch.bfloat16), None)(rows)
    assert product[3].isnan().all()
    assert torch.equal(product[[0, 1, 2, 4]], torch.full((4, 3), 24, dtype=torch.bfloat16))


def test_a_product_that_a_late_helper_may_still_write_to_is_the_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller gets is its own to change."""
    written: list[torch.Tensor] = []

    def and_one_is_late(*arguments: Any, keep: Any, **options: Any) -> bool:
        run_shared(*arguments, keep=keep, **options)
        written.append(keep[-1])
        return True

    layer = NativeLinear(torch.ones(64, 64, dtype=torch.bfloat16), None)
    rows = torch.ones(3, 64, dtype=torch.bfloat16)
    monkeypatch.setattr(product_kernel, "run_shared", and_one_is_late)
    product = layer(rows)
    assert (product == 64).all()
    written[0].zero_()
    assert (product == 64).all()
