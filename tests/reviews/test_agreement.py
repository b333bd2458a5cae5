"""Krippendorff's alpha against published tables, against the definition in fractions, and against another library."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import binary_distance, interval_distance

from portal.reviews.agreement import Metric, confusion, krippendorff_alpha
from portal.reviews.charts import estimates, heat_grid

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: one row per observer, "." is a missing value.
BINARY = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
NOMINAL = ["a a b b d c c c e d d a", "b a b b b c c c e d d d"]
FOUR_OBSERVERS = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
# Hayes and Krippendorff (2007), Answering the Call for a Standard Reliability Measure for Coding Data, table 1.
FIVE_OBSERVERS = [
    "1 1 2 . 0 0 1 1 2 2 . 0 1 3 1 1 2 1 1 0 0 0 2 0 1 0 0 1 1 1 1 2 2 3 2 2 2 2 2 1",
    "1 1 3 0 0 0 0 . 2 1 1 0 2 3 1 1 1 2 1 0 0 0 3 0 2 1 0 2 1 1 1 1 2 2 2 2 2 2 2 1",
    "2 0 3 0 0 0 2 2 2 1 0 0 2 2 1 1 2 3 0 0 1 . 3 0 . 1 0 1 2 2 0 2 . 2 2 3 2 . 2 1",
    ". 1 3 . . . . 0 . 1 0 0 2 2 . . . 3 1 . 1 0 3 0 2 1 1 2 2 . . 1 2 2 . . . 1 2 .",
    "2 . . 0 0 0 1 . 2 . . . . 3 1 1 2 . . 0 . 0 . . 2 . 0 . . 2 0 . 2 . 2 2 2 2 . 1",
]


def units_of(rows: list[str], *, numbers: bool = False) -> list[list[object]]:
    columns = zip(*(row.split() for row in rows), strict=True)
    return [[int(each) if numbers else each for each in column if each != "."] for column in columns]


@pytest.mark.parametrize(
    ("rows", "metric", "published"),
    [
        (BINARY, Metric.NOMINAL, 0.095),
        (NOMINAL, Metric.NOMINAL, 0.692),
        (FOUR_OBSERVERS, Metric.NOMINAL, 0.743),
        (FOUR_OBSERVERS, Metric.ORDINAL, 0.815),
        (FOUR_OBSERVERS, Metric.INTERVAL, 0.849),
        (FIVE_OBSERVERS, Metric.NOMINAL, 0.477),
        (FIVE_OBSERVERS, Metric.ORDINAL, 0.7598),
        (FIVE_OBSERVERS, Metric.INTERVAL, 0.757),
    ],
)
def test_alpha_is_the_published_one(rows: list[str], metric: Metric, published: float) -> None:
    units = units_of(rows, numbers=metric != Metric.NOMINAL)
    assert krippendorff_alpha(units, metric).alpha == pytest.approx(published, abs=0.0006)


def test_units_with_one_value_do_not_count() -> None:
    found = krippendorff_alpha(units_of(FOUR_OBSERVERS))
    # The paper: 40 values pair; the twelfth unit has only one.
    assert (found.units, found.values) == (11, 40)


def alpha_by_definition(units: list[list[int]], metric: Metric) -> Fraction | None:
    """Pairs of values within units against all pairs, in fractions: nothing in common with the matrices."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]

    def apart(one: int, other: int) -> Fraction:
        if metric == Metric.NOMINAL:
            return Fraction(one != other)
        if metric == Metric.INTERVAL:
            return Fraction((one - other) ** 2)
        low, high = sorted((one, other))
        between = sum(low <= value <= high for value in values)
        ends = Fraction(values.count(low) + values.count(high), 2)
        return (between - ends) ** 2 if low != high else Fraction(0)

    observed = sum(
        (sum(apart(a, b) for a, b in permutations(unit, 2)) / Fraction(len(unit) - 1) for unit in units), Fraction(0)
    ) / Fraction(len(values) or 1)
    expected = sum((apart(a, b) for a, b in permutations(values, 2)), Fraction(0))
    if not expected:
        return None
    return 1 - observed * len(values) * (len(values) - 1) / expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), max_size=4), max_size=8), st.sampled_from(list(Metric)))
def test_alpha_is_what_the_definition_says(units: list[list[int]], metric: Metric) -> None:
    expected = alpha_by_definition(units, metric)
    found = krippendorff_alpha(units, metric, resamples=0).alpha
    assert (found is None) is (expected is None)
    if expected is not None:
        assert found == pytest.approx(float(expected), abs=1e-9)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=4), min_size=2, max_size=8),
    # Those that nltk has a distance for.
    st.sampled_from([(Metric.NOMINAL, binary_distance), (Metric.INTERVAL, interval_distance)]),
)
def test_alpha_is_what_another_implementation_says(
    units: list[list[int]], metric: tuple[Metric, Callable[[int, int], float]]
) -> None:
    assume(len({value for unit in units for value in unit}) > 1)
    said = [(observer, number, value) for number, unit in enumerate(units) for observer, value in enumerate(unit)]
    expected = AnnotationTask(said, distance=metric[1]).alpha()
    assert krippendorff_alpha(units, metric[0], resamples=0).alpha == pytest.approx(expected, abs=1e-9)


def test_alpha_of_everybody_always_saying_one_thing_is_not_defined() -> None:
    assert krippendorff_alpha([["accept", "accept"]] * 20).alpha is None


def test_perfect_agreement_is_one_and_chance_is_around_zero() -> None:
    assert krippendorff_alpha([["a", "a"], ["b", "b"]] * 10).alpha == 1
    chance = krippendorff_alpha([[a, b] for a in "ab" for b in "ab"] * 50)
    assert chance.alpha == pytest.approx(0, abs=0.01)
    assert chance.low is not None
    assert chance.high is not None
    assert chance.low < 0 < chance.high


def test_the_interval_holds_the_estimate_and_narrows_with_more_units() -> None:
    units = units_of(FOUR_OBSERVERS)
    few, many = krippendorff_alpha(units), krippendorff_alpha(units * 20)
    assert few.low <= few.alpha <= few.high  # type: ignore[operator]
    assert many.high - many.low < (few.high - few.low) / 3  # type: ignore[operator]
    assert few == krippendorff_alpha(units), "the same seed gives the same interval"


def test_an_ordinal_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="ordinal metric needs numbers"):
        krippendorff_alpha([["good", "bad"]], Metric.ORDINAL)


def test_confusion_counts_ordered_pairs() -> None:
    assert confusion([("accept", "reject"), ("accept", "reject"), ("reject", "accept")]) == {
        ("accept", "reject"): 2,
        ("reject", "accept"): 1,
    }


def test_estimates_stand_in_their_intervals_on_a_scale_that_holds_them() -> None:
    chart = estimates(
        [("Verdicts", 0.5, 0.2, 0.9), ("Worse than chance", -0.6, -0.8, -0.1), ("Not defined", None, None, None)]
    )
    first, second = chart.rows
    assert [tick.label for tick in chart.ticks] == ["-1.0", "-0.5", "0.0", "0.5", "1.0"]
    for row in (first, second):
        assert row.low is not None
        assert row.high is not None
        assert chart.ticks[0].at <= row.low < row.point < row.high <= chart.ticks[-1].at
    assert second.point < chart.zero < first.point


def test_a_heat_grid_weighs_each_cell_by_the_fullest() -> None:
    grid = heat_grid(["Accept", "Reject"], [[8, 2], [0, 4]])
    assert [(cell.count, cell.weight, cell.is_diagonal) for cell in grid.cells] == [
        (8, 1.0, True),
        (2, 0.25, False),
        (0, 0.0, False),
        (4, 0.5, True),
    ]
    assert heat_grid(["Accept"], [[0]]).cells[0].weight == 0
