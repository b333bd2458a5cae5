"""The native operations of a decoding step compute what torch's own do, in both dtypes, and hide nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu

from inference.compute_threads import helped_by_crew
from inference.decode_kernels import add_and_normalise, attend, gate
from inference.native_code import KINDS

HEADS, GROUPS, SIZE, CAPACITY, SLOTS = 6, 2, 16, 64, 5
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
both_dtypes = pytest.mark.parametrize("dtype", list(KINDS), ids=str)


@pytest.fixture(autouse=True, params=[False, True], ids=["torch", "crew"])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Those who share the work."""
    with helped_by_crew(wanted=request.param):
        yield


def _random(*shape: int, dtype: torch.dtype, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@both_dtypes
@pytest.mark.parametrize("width", [1, 40, 576])
@pytest.mark.parametrize("count", [3, 45])
def test_rows_are_added_to_and_normalised(dtype: torch.dtype, count: int, width: int) -> None:
    rows, added, weight = (_random(count, width, dtype=dtype, seed=seed) for seed in range(3))
    out, expected = torch.empty_like(rows), rows + added
    args = (added.data_ptr(), weight[0].data_ptr(), out.data_ptr(), count, width, 1e-5)
    add_and_normalise(dtype, rows.data_ptr(), *args)
    assert torch.equal(rows, expected)
    torch.testing.assert_close(
        out, rms_norm(expected, (width,), weight[0], 1e-5), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype]
    )
    add_and_normalise(dtype, rows.data_ptr(), 0, *args[1:])
    assert torch.equal(rows, expected)


@both_dtypes
@pytest.mark.parametrize("rows", [1, 8, 45])
def test_gates_open_their_ups(dtype: torch.dtype, rows: int) -> None:
    both = 20 * _random(rows, 2 * 48, dtype=dtype)
    both[0, :3] = torch.tensor([-1e4, 1e4, 0], dtype=dtype)
    out = torch.empty(rows, 48, dtype=dtype)
    gate(dtype, both.data_ptr(), out.data_ptr(), rows, 48, threads=2, keep=(both, out))
    gates, ups = both.float().chunk(2, dim=-1)
    torch.testing.assert_close(out.float(), silu(gates) * ups, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


def _attended(
    states: Tensor,
    cosines: Tensor,
    sines: Tensor,
    store: Tensor,
    slots: Tensor,
    positions: Tensor,
    window: int,
    *,
    see_each_other: bool = False,
) -> Tensor:
    out = torch.empty(len(slots), HEADS, SIZE, dtype=states.dtype)
    attend(
        states.dtype,
        *(each.data_ptr() for each in (states, cosines, sines, store, slots, positions, out)),
        *(len(slots), HEADS, GROUPS, SIZE, CAPACITY, window, SIZE**-0.5),
        see_each_other=see_each_other,
        threads=2,
        keep=(states, cosines, sines, store, slots, positions, out),
    )
    return out


@both_dtypes
@pytest.mark.parametrize("window", [0, 7])
def test_each_row_attends_to_its_own_slot_up_to_its_position(dtype: torch.dtype, window: int) -> None:
    slots, positions = torch.tensor([3, 0, 4]), torch.tensor([0, 5, CAPACITY - 1])
    states = _random(3, HEADS + 2 * GROUPS, SIZE, dtype=dtype)
    angles = _random(3, SIZE // 2, dtype=torch.float32, seed=2)
    cosines, sines = (each.to(dtype) for each in (angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)))
    signed = torch.cat((-sines[:, : SIZE // 2], sines[:, SIZE // 2 :]), dim=-1)
    # What stands behind a row's position is none of its business, whatever it is.
    store = _random(SLOTS, 2 * GROUPS, CAPACITY, SIZE, dtype=dtype, seed=3)
    for slot, position in zip(slots, positions, strict=True):
        store[slot, :, position + 1 :] = torch.nan
    before = store.clone()
    out = _attended(states.clone(), cosines, signed, store, slots, positions, window)
    turned = states * cosines[:, None] + states.roll(SIZE // 2, dims=-1) * signed[:, None]
    for row, (slot, position) in enumerate(zip(slots.tolist(), positions.tolist(), strict=True)):
        keys, values = turned[row, HEADS : HEADS + GROUPS], states[row, HEADS + GROUPS :]
        torch.testing.assert_close(store[slot, :GROUPS, position], keys, rtol=0.01, atol=TOLERANCES[dtype])
        assert torch.equal(store[slot, GROUPS:, position], values)
        before[slot, :, position] = store[slot, :, position]
        first = max(0, position - window + 1) if window else 0
        seen = store[slot, :, first : position + 1].float()
        expected = scaled_dot_product_attention(
            turned[row, :HEADS].float().view(1, GROUPS, HEADS // GROUPS, SIZE), seen[None, :GROUPS], seen[None, GROUPS:]
        )
        torch.testing.assert_close(
            out[row].float(), expected.view(HEADS, SIZE), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype]
        )
    assert torch.equal(store.nan_to_num(), before.nan_to_num()), "nothing else was written"


@both_dtypes
def test_rows_of_one_slot_see_those_before_them_however_many_threads_there_are(dtype: torch.dtype) -> None:
    count, start = 24, 9
    states = _random(count, HEADS + 2 * GROUPS, SIZE, dtype=dtype)
    ones, zeros = torch.ones(count, SIZE, dtype=dtype), torch.zeros(count, SIZE, dtype=dtype)
    slots, positions = torch.full((count,), 2), torch.arange(start, start + count)
    store = _random(SLOTS, 2 * GROUPS, CAPACITY, SIZE, dtype=dtype, seed=3)
    at_once, one_by_one = store.clone(), store.clone()
    out = _attended(states.clone(), ones, zeros, at_once, slots, positions, 0, see_each_other=True)
    for row in range(count):
        only = slice(row, row + 1)
        alone = _attended(states[only].clone(), ones[only], zeros[only], one_by_one, slots[only], positions[only], 0)
        assert torch.equal(out[only], alone)
    assert torch.equal(at_once, one_by_one)


@both_dtypes
@pytest.mark.parametrize("part", [0, HEADS, HEADS + GROUPS])
def test_what_is_not_a_number_stays_so_and_stays_in_its_row(dtype: torch.dtype, part: int) -> None:
    states = _random(2, HEADS + 2 * GROUPS, SIZE, dtype=dtype)
    states[0, part, 3] = torch.nan
    ones, zeros = torch.ones(2, SIZE, dtype=dtype), torch.zeros(2, SIZE, dtype=dtype)
    store = torch.zeros(SLOTS, 2 * GROUPS, CAPACITY, SIZE, dtype=dtype)
    out = _attended(states, ones, zeros, store, torch.tensor([1, 2]), torch.tensor([4, 4]), 0)
    assert out[0].isnan().any()
    assert not out[1].isnan().any()
    rows = _random(2, 32, dtype=dtype)
    rows[0, 5] = torch.nan
    normed, opened = torch.empty_like(rows), torch.empty(2, 16, dtype=dtype)
    weight = torch.ones(32, dtype=dtype)
    add_and_normalise(dtype, rows.data_ptr(), 0, weight.data_ptr(), normed.data_ptr(), 2, 32, 1e-5)
    gate(dtype, rows.data_ptr(), opened.data_ptr(), 2, 16, threads=1)
    assert normed[0].isnan().all()
    assert opened[0].isnan().any()
    assert not normed[1].isnan().any()
    assert not opened[1].isnan().any()
