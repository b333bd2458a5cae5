"""The sampler's distributions are those of transformers' own logits processors, and each request's draws its own."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from inference.sampler import Choice, SamplingState, choose, choose_greatest
from inference.sampling_params import SamplingParams

VOCABULARY = 60
DRAWS = 3_000
PROMPT = (1, 5, 5, 9)


def _logits(seed: int, rows: int = 1, vocabulary: int = VOCABULARY) -> Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * 2.5


def _state(**params: Any) -> SamplingState:
    return SamplingState(SamplingParams(**params), PROMPT, [0])


def _oracle(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution of one row by transformers' processors, in the order that `generate` uses."""
    steps: Any = LogitsProcessorList()
    if params.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(params.repetition_penalty))
    steps.append(TemperatureLogitsWarper(float(params.temperature)))
    if params.top_k:
        steps.append(TopKLogitsWarper(params.top_k))
    if params.top_p < 1:
        steps.append(TopPLogitsWarper(params.top_p))
    if params.min_p > 0:
        steps.append(MinPLogitsWarper(params.min_p))
    distribution: Tensor = torch.softmax(steps(torch.tensor([PROMPT]), logits.clone()), dim=-1)[0]
    return distribution


class _FixedPoints:
    """Numbers evenly over [0, 1), so that drawing often enough measures the whole distribution."""

    def __init__(self, count: int) -> None:
        self._points = iter((index + 0.5) / count for index in range(count))

    def random(self) -> float:
        return next(self._points)


def _measured(logits: Tensor, params: SamplingParams) -> Tensor:
    state = SamplingState(params, PROMPT, [0])
    state.random = _FixedPoints(DRAWS)  # type: ignore[assignment]
    counts = Counter[int]()
    for _ in range(DRAWS // 500):
        choices = choose(logits.expand(500, -1), [state] * 500)
        counts.update(choice.token_id for choice in choices if choice is not None)
    return torch.tensor([counts[token] / DRAWS for token in range(logits.shape[-1])])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([0.3, 0.8, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 40, 1_000]),
    top_p=st.sampled_from([1.0, 0.95, 0.6, 0.05]),
    min_p=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 0.7, 1.5]),
    spread=st.sampled_from([0.1, 2.5, 60.0]),
)
def test_the_distribution_is_that_of_transformers(
    seed: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
    spread: float,
) -> None:
    params = SamplingParams(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty
    )
    # From nearly equal numbers to a few that are all of the sum.
    logits = _logits(seed) / 2.5 * spread
    measured = _measured(logits, params)
    expected = _oracle(logits, params)
    # Evenly spaced points hit each interval within one point at either end.
    assert torch.allclose(measured, expected, atol=2.5 / DRAWS)
    assert not measured[expected == 0].any()


def test_greedy_takes_the_best_and_reports_the_raw_distribution() -> None:
    logits = _logits(1)
    choice = choose(logits, [_state(temperature=0, top_logprobs=3)])[0]
    raw = torch.log_softmax(logits[0], dim=-1)
    assert isinstance(choice, Choice)
    assert choice.token_id == int(raw.argmax())
    assert choice.logprob == pytest.approx(float(raw.max()), abs=1e-6)
    assert [token for token, _ in choice.top] == torch.topk(raw, 3).indices.tolist()


def test_logprobs_do_not_depend_on_temperature_bias_or_filters() -> None:
    logits = _logits(2)
    raw = torch.log_softmax(logits[0], dim=-1)
    state = _state(temperature=0.2, top_p=0.5, logit_bias={7: 100.0}, top_logprobs=2)
    choice = choose(logits, [state])[0]
    assert isinstance(choice, Choice)
    assert choice.token_id == 7
    assert choice.logprob == pytest.approx(float(raw[7]), abs=1e-6)
    assert choice.top[0][1] == pytest.approx(float(raw.max()), abs=1e-6)


def test_presence_and_frequency_penalties_count_the_output_alone() -> None:
    logits = torch.zeros(1, VOCABULARY)
    state = _state(temperature=0, presence_penalty=1.0, frequency_penalty=0.5)
    for token in (3, 3, 4):
        state.note(token)
    row = logits[0].clone()
    state.adjust(row)
    assert row[3] == pytest.approx(-2.0)
    assert row[4] == pytest.approx(-1.5)
    assert row[5] == 0


def test_the_end_is_out_of_reach_before_the_minimum_length() -> None:
    logits = torch.full((1, VOCABULARY), 0.0)
    logits[0, 0] = 50
    state = _state(temperature=0, min_tokens=2, max_tokens=5)
    chosen = []
    for _ in range(3):
        choice = choose(logits, [state])[0]
        assert choice is not None
        chosen.append(choice.token_id)
        state.note(choice.token_id)
    assert chosen[0] != 0
    assert chosen[1] != 0
    assert chosen[2] == 0


def test_a_seed_repeats_and_neighbours_do_not_matter() -> None:
    def tokens(*, neighbours: int) -> list[int]:
        state = _state(seed=5, temperature=1.5)
        others = [_state(seed=100 + number, temperature=1.0, top_p=0.9) for number in range(neighbours)]
        found = []
        for step in range(20):
            choice = choose(_logits(step).expand(1 + neighbours, -1), [*others, state])[-1]
            assert choice is not None
            found.append(choice.token_id)
        return found

    assert tokens(neighbours=0) == tokens(neighbours=0) == tokens(neighbours=7)


PARAMETERS = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0, 1e-9, 0.4, 1.0, 2.0]),
        "top_k": st.sampled_from([0, 1, 30]),
        "top_p": st.sampled_from([1.0, 0.9, 0.3]),
        "min_p": st.sampled_from([0.0, 0.05]),
        "repetition_penalty": st.sampled_from([1.0, 1.3]),
        "logit_bias": st.sampled_from([{}, {3: 4.0, 50: -100.0}]),
        "min_tokens": st.sampled_from([0, 4]),
        "top_logprobs": st.sampled_from([0, 2]),
        "seed": st.integers(0, 99),
    }
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(PARAMETERS, min_size=2, max_size=6), seed=st.integers(0, 10_000), is_half=st.booleans())
def test_every_row_is_chosen_exactly_as_it_is_alone(rows: list[dict[str, Any]], seed: int, is_half: bool) -> None:
    logits = _logits(seed, len(rows), 1_300)
    if is_half:
        logits = logits.bfloat16()
    together = choose(logits, [_state(**params) for params in rows])
    assert together == [choose(logits[at : at + 1], [_state(**params)])[0] for at, params in enumerate(rows)]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.05, 2.5, 40.0]),
    width=st.sampled_from([1, 511, 512, 513, 4_000]),
    top_k=st.sampled_from([0, 20, 600]),
    top_p=st.sampled_from([1.0, 0.9]),
)
def test_a_wide_row_is_drawn_from_where_its_running_sum_meets_the_point(
    seed: int, spread: float, width: int, top_k: int, top_p: float
) -> None:
    """In the vocabulary's order, and in the order of probability where something is cut off."""
    logits = (_logits(seed, 1, width) / 2.5 * spread).double()
    probabilities, order = torch.softmax(logits[0], dim=0), torch.arange(width)
    if top_k or top_p < 1:
        order = probabilities.argsort(descending=True)[: top_k or width]
        kept = probabilities[order] / probabilities[order].sum()
        order = order[kept.cumsum(0) - kept < top_p - 1e-6]
    sums = (probabilities[order] / probabilities[order].sum()).cumsum(0)
    state = _state(temperature=1.0, top_k=top_k, top_p=top_p, seed=seed)
    points = SamplingState(state.params, (), ()).random
    for _ in range(20):
        choice, point = choose(logits, [state])[0], points.random()
        assert choice is not None
        at = int((order == choice.token_id).nonzero())
        assert (0 if at == 0 else sums[at - 1]) - 1e-5 <= point <= sums[at] + 1e-5
        assert choice.logprob == pytest.approx(math.log(probabilities[choice.token_id]), abs=1e-5)


def test_the_first_of_equal_numbers_is_the_best_and_forbidden_ones_are_never_chosen() -> None:
    logits = torch.full((3, 700), -math.inf)
    logits[0, [650, 651]] = -3.0
    logits[1, [5, 600]] = torch.tensor([-0.0, 0.0])
    logits[2, 699] = -1e30
    states = [_state(temperature=0), _state(temperature=0), _state(temperature=2.0)]
    assert [choice and choice.token_id for choice in choose(logits, states)] == [650, 5, 699]


@given(seed=st.integers(0, 2**32 - 1), lengths=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_plainly_greedy_rows_are_chosen_alike_where_the_logits_are(seed: int, lengths: list[int]) -> None:
    logits = _logits(seed, rows=len(lengths))
    logits[:, 0] += 4  # the end would often be the best
    logits[-1, 3] = math.nan if seed % 3 == 0 else 0
    states = [_state(temperature=0, min_tokens=length) for length in lengths]
    for state in states:
        state.note(5)
    assert all(state.is_plainly_greedy for state in states)
    expected, found = choose(logits, states), choose_greatest(logits, states)
    assert [each and each.token_id for each in found] == [each and each.token_id for each in expected]
    told = [(each.logprob, other.logprob) for each, other in zip(found, expected, strict=True) if each and other]
    assert all(mine == pytest.approx(theirs, abs=1e-5) for mine, theirs in told)


@pytest.mark.parametrize(
    "params", [{"temperature": 1}, {"logit_bias": {3: 1.0}}, {"presence_penalty": 1}, {"top_logprobs": 1}]
)
def test_whatever_asks_for_more_is_not_plainly_greedy(params: dict[str, Any]) -> None:
    assert not _state(**{"temperature": 0, **params}).is_plainly_greedy


def test_a_row_that_is_not_numbers_has_no_choice_and_harms_no_other() -> None:
    logits = _logits(3, rows=4)
    logits[1] = math.nan
    logits[2, 5] = math.inf
    states = [_state(temperature=temperature) for temperature in (0, 1, 0, 1)]
    choices = choose(logits, states)
    assert choices[0] is not None
    assert choices[1] is None
    assert choices[2] is None
    assert choices[3] is not None
    assert choose(torch.full((1, 9), -math.inf), [_state(temperature=1)]) == [None]


def test_what_is_told_are_plain_numbers() -> None:
    for choosing, more in ((choose, {"top_logprobs": 2}), (choose, {"temperature": 0.5}), (choose_greatest, {})):
        (choice,) = choosing(_logits(4), [_state(**{"temperature": 0, **more})])
        assert choice is not None
        numbers = [choice.logprob, *(logprob for _, logprob in choice.top)]
        assert {type(choice.token_id), *(type(token) for token, _ in choice.top)} == {int}
        assert {type(number) for number in numbers} == {float}


def test_half_precision_logits_are_measured_in_float32() -> None:
    logits = _logits(4).to(torch.bfloat16)
    choice = choose(logits, [_state(temperature=0)])[0]
    assert choice is not None
    assert choice.logprob == pytest.approx(float(torch.log_softmax(logits[0].float(), dim=-1).max()), abs=1e-6)
