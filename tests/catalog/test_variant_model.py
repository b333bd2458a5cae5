"""What a variant's row may say of the variant that it was made from."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import RestrictedError

from portal.catalog.models import Backend, Relation, Variant
from portal.catalog.services import note_engine
from portal.catalog.variant_facts import all_facts
from tests.catalog.shelf import make_card, make_variant

pytestmark = pytest.mark.django_db


def adapter(base: Variant | None, **fields: Any) -> Variant:
    card = base.card if base is not None else make_card("other")
    values = {"slug": "lora", "backend": Backend.TRANSFORMERS, "source": "weights/lora", "relation": Relation.ADAPTER}
    return Variant(card=card, base=base, **(values | fields))


def test_an_adapter_runs_on_local_weights() -> None:
    good = adapter(make_variant(make_card()))
    good.clean()
    good.save()
    assert list(good.base.derived.all()) == [good]  # type: ignore[union-attr]


def test_an_adapter_needs_a_base_that_can_carry_it() -> None:
    weights = make_variant(make_card())
    first = adapter(weights)
    first.save()
    elsewhere = make_variant(weights.card, slug="far", backend=Backend.OPENAI, source="https://example.org/v1")
    for wrong, field in (
        (adapter(None), "base"),
        (adapter(first, slug="second"), "base"),
        (adapter(elsewhere, slug="third"), "base"),
        (adapter(weights, slug="fourth", backend=Backend.OPENAI, facts={"upstream_url": "weights/lora"}), "backend"),
    ):
        with pytest.raises(ValidationError) as refused:
            wrong.clean()
        assert set(refused.value.message_dict) == {field}


def test_what_runs_on_its_base_is_an_adapter_and_nothing_else(django_assert_num_queries: Any) -> None:
    weights = make_variant(make_card())
    rounded = make_variant(weights.card, slug="int8", base=weights, relation=Relation.QUANTIZED)
    lora = adapter(weights)
    lora.save()
    for variant, expected in ((weights, weights), (rounded, rounded), (lora, weights)):
        read = Variant.objects.get(pk=variant.pk)
        with django_assert_num_queries(0):
            assert read.runs_on_id == expected.pk
        assert read.runs_on == expected


def test_the_way_of_computing_that_an_engine_found_is_kept_and_shown(
    django_assert_num_queries: Any,
) -> None:
    variant = make_variant(make_card())
    found = {"engine": "transformers", "forward": "sequential", "dtype": "float32", "python": "3"}
    note_engine(variant, found)
    variant.refresh_from_db()
    assert variant.facts["engine"] == {"engine": "transformers", "forward": "sequential", "dtype": "float32"}
    assert variant.facts["parameters"] == 135_000_000
    (shown,) = [fact.value for fact in all_facts(variant) if fact.label == "Computed"]
    assert "does not fit this architecture" in shown
    with django_assert_num_queries(0):
        note_engine(variant, found)
        note_engine(variant, {"engine": "upstream"})


def test_the_database_holds_the_rule_too() -> None:
    weights = make_variant(make_card())
    for change in ({"relation": Relation.ADAPTER}, {"base": weights}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Variant.objects.filter(pk=weights.pk).update(**change)


def test_a_base_stays_while_something_runs_on_it_and_goes_with_its_card() -> None:
    weights = make_variant(make_card(text=None))
    adapter(weights).save()
    with pytest.raises(RestrictedError):
        weights.delete()
    weights.card.delete()
    assert not Variant.objects.exists()
