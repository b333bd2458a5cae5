"""Sampling parameters out of range or of another type are refused by name, with the limit; good ones survive JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling_params import (
    MAX_LOGIT_BIAS_ENTRIES,
    MAX_NEW_TOKENS,
    MAX_SEED,
    MAX_UNKNOWN_TOLD,
    InvalidParameter,
    SamplingParams,
    find_invalid,
)

# Each parameter's last good values and the first bad ones beyond them.
BORDERS: dict[str, tuple[list[Any], list[Any]]] = {
    "temperature": ([0, 2], [-0.01, 2.01, math.nan, math.inf, "1", True, None]),
    "top_p": ([0.0001, 1], [0, 1.01, math.nan]),
    "top_k": ([0, 1_000_000], [-1, 1.5, True]),
    "min_p": ([0, 1], [-0.1, 1.1]),
    "repetition_penalty": ([0.01, 2], [0, -1, 2.1]),
    "presence_penalty": ([-2, 2], [-2.1, 2.1]),
    "frequency_penalty": ([-2, 2], [-2.1, 2.1]),
    "max_tokens": ([1, MAX_NEW_TOKENS], [0, MAX_NEW_TOKENS + 1, 1.0]),
    "min_tokens": ([0, 256], [-1, 257]),  # not above max_tokens, which is 256 unless said otherwise
    "seed": ([None, 0, MAX_SEED], [-1, MAX_SEED + 1, 1.5]),
    "stop": ([(), ("a",) * 8, ("x" * 100,)], ["a", ("a",) * 9, ("x" * 101,), ("",), (1,)]),
    "logit_bias": (
        [{}, {0: -100, 7: 100}],
        [{-1: 1.0}, {1: 101}, {1: math.nan}, {1: "1"}, dict.fromkeys(range(MAX_LOGIT_BIAS_ENTRIES + 1), 1.0)],
    ),
    "top_logprobs": ([0, 20], [-1, 21, 2.0]),
}


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, (good, _) in BORDERS.items() for each in good])
def test_what_is_in_range_is_taken(name: str, value: Any) -> None:
    assert getattr(SamplingParams(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, (_, bad) in BORDERS.items() for each in bad])
def test_what_is_not_is_refused_by_name_with_the_limit(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameter) as refused:
        SamplingParams(**{name: value})
    assert refused.value.field == name
    assert str(refused.value) == f"{name}: {refused.value.limit}"


def test_every_parameter_has_its_borders_here() -> None:
    assert set(BORDERS) == set(SamplingParams().as_mapping())


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"top_q": 1}, "top_q"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"stop": "a"}, "stop"),
    ],
)
def test_a_document_with_another_shape_is_refused_by_name(document: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        SamplingParams.from_mapping(document)
    assert refused.value.field == name


anything = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(good + bad) for name, (good, bad) in BORDERS.items()} | {"top_q": st.just(1)}
)


@settings(max_examples=200, deadline=None)
@given(document=anything)
def test_all_that_is_wrong_is_found_and_nothing_else(document: dict[str, Any]) -> None:
    found = {error.field for error in find_invalid(document)}
    sound = {name: value for name, value in document.items() if name not in found}
    SamplingParams.from_mapping({"max_tokens": MAX_NEW_TOKENS} | sound)
    for name in found - {"min_tokens"}:
        with pytest.raises(InvalidParameter, match=name):
            SamplingParams.from_mapping({name: document[name]})
    if "min_tokens" in found:
        with pytest.raises(InvalidParameter, match="min_tokens"):
            SamplingParams.from_mapping({name: document[name] for name in ("min_tokens", *sound) if name in document})


def test_of_a_hundred_thousand_names_that_are_none_a_few_are_told_and_what_else_is_wrong() -> None:
    found = find_invalid(
        {f"x{number}" * 40: 1 for number in range(100_000)} | {"temperature": 3, "max_tokens": 300}, 256
    )
    assert len(found) == MAX_UNKNOWN_TOLD + 2
    assert {"temperature", "max_tokens"} < {error.field for error in found}
    assert max(len(error.field) for error in found) <= 80
    assert next(error.limit for error in found if error.field == "max_tokens") == "must be a whole number from 1 to 256"


values = st.fixed_dictionaries(
    {},
    optional={name: st.sampled_from(good) for name, (good, _) in BORDERS.items() if name != "max_tokens"}
    | {
        "temperature": st.floats(0, 2),
        "logit_bias": st.dictionaries(st.integers(0, 99), st.floats(-100, 100), max_size=4),
    },
)


@settings(max_examples=60, deadline=None)
@given(values=values)
def test_json_and_back_is_the_same(values: dict[str, Any]) -> None:
    params = SamplingParams(**values)
    assert SamplingParams.from_mapping(json.loads(json.dumps(params.as_mapping()))) == params


@settings(max_examples=60, deadline=None)
@given(
    document=st.dictionaries(
        st.sampled_from(sorted(BORDERS)),
        st.none()
        | st.booleans()
        | st.floats()
        | st.text()
        | st.lists(st.integers())
        | st.dictionaries(st.text(), st.floats()),
        max_size=4,
    )
)
def test_any_document_gives_parameters_or_a_refusal_by_name(document: dict[str, Any]) -> None:
    refused = ""
    try:
        SamplingParams.from_mapping(document)
    except InvalidParameter as error:
        refused = error.field
    assert refused in {"", *document}
