"""The same weights in fewer bits are variants beside the first, which follow it and keep what people changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portal.catalog.models import Backend, Relation, Variant
from portal.catalog.number_formats import NUMBER_FORMATS, ROUNDED_ARCHITECTURES, NoSuchFormat, offer_number_format
from portal.catalog.services import refresh_variant
from tests.catalog.shelf import make_card, make_variant, write_weights


def test_the_formats_and_architectures_are_the_engines() -> None:
    from inference.forward_choice import ROUNDINGS
    from inference.fused_decoder import MODEL_TYPES

    assert set(NUMBER_FORMATS) == set(ROUNDINGS)
    assert ROUNDED_ARCHITECTURES == MODEL_TYPES


@pytest.fixture
def base(db: None, tmp_path: Path, settings: Any) -> Variant:
    settings.STEELYARD_HOME = tmp_path
    write_weights(tmp_path / "weights" / "tiny")
    variant = make_variant(make_card(), dtype="bfloat16", is_runnable=False, facts={}, defaults={"top_p": 0.9})
    refresh_variant(variant)
    return variant


def test_a_format_is_a_variant_on_the_same_folder(base: Variant) -> None:
    base.facts["measured"] = {"key": "the base's own"}
    variant, created = offer_number_format(base, "int8")
    assert created
    assert (variant.slug, variant.dtype, variant.relation, variant.base) == ("bf16-int8", "int8", "quantized", base)
    assert (variant.folder, variant.digests, variant.defaults) == (base.folder, base.digests, {"top_p": 0.9})
    assert variant.is_runnable
    assert "measured" not in variant.facts
    assert offer_number_format(base, "int8") == (variant, False)


def test_it_follows_the_weights_and_keeps_what_people_changed(base: Variant) -> None:
    variant, _ = offer_number_format(base, "int4")
    Variant.objects.filter(pk=variant.pk).update(defaults={"temperature": 0.1}, queue="own")
    assert base.folder is not None
    (base.folder / "model.safetensors").unlink()
    refresh_variant(base)
    variant, _ = offer_number_format(base, "int4")
    assert not variant.is_runnable
    assert (variant.defaults, variant.queue) == ({"temperature": 0.1}, "own")


@pytest.mark.parametrize(
    ("change", "number_format", "reason"),
    [
        ({}, "int3", "no format int3"),
        ({"backend": Backend.OPENAI}, "int8", "no weights of its own"),
        ({"relation": Relation.ADAPTER}, "int8", "no weights of its own"),
        ({"dtype": "int8"}, "int4", "no weights of its own"),
        ({"facts": {"model_type": "gpt2"}}, "int8", "architecture gpt2"),
    ],
)
def test_what_cannot_be_rounded_is_refused(
    change: dict[str, Any], number_format: str, reason: str, base: Variant
) -> None:
    for name, value in change.items():
        setattr(base, name, value)
    with pytest.raises(NoSuchFormat, match=reason):
        offer_number_format(base, number_format)
    assert Variant.objects.count() == 1
