"""Facts in words and units, with nothing said that the weights do not say."""

from __future__ import annotations

import pytest

from portal.catalog.models import Variant
from portal.catalog.variant_facts import Fact, all_facts, key_facts, short_count, size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (134_515_008, "135M"),
        (1_711_376_384, "1.7B"),
        (70_000_000_000, "70B"),
        (10**12, "1T"),
    ],
)
def test_counts_as_people_say_them(count: int, text: str) -> None:
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1 byte"),
        (368, "368 bytes"),
        (3_523_033, "3.5 MB"),
        (269_060_552, "269 MB"),
        (9_960_000, "10 MB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_in_decimal_units(size: int, text: str) -> None:
    assert size_text(size) == text


def test_what_is_not_known_is_left_out() -> None:
    assert key_facts(Variant(facts={})) == all_facts(Variant(facts={})) == []
    assert key_facts(Variant(facts={"attention": "new-kind", "dtypes": [], "parameters": None})) == []


def test_shares_are_ordered_by_size_whatever_the_database_did() -> None:
    facts = all_facts(Variant(facts={"origin_types": {"F32": 1, "Q8_0": 2_000, "Q4_1": 8_000}}))
    assert facts == [Fact("Stored there as", "Q4_1 80.0 %, Q8_0 20.0 %, F32 < 0.1 %")]
    assert key_facts(Variant(facts={"dtypes": {"BF16": 5}})) == [Fact("Stored as", "BF16")]
