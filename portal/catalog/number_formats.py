"""The same weights in fewer bits: each format is a variant of its own on the base's folder, rounded while it loads."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from portal.catalog.measured_facts import MEASURED
from portal.catalog.models import Backend, Relation, TensorList, Variant
from portal.catalog.services import ENGINE

NUMBER_FORMATS: Final = ("int8", "int4")
# The architectures that inference/fused_decoder.py rounds; a test holds both lists together.
ROUNDED_ARCHITECTURES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})


class NoSuchFormat(ValueError):
    """The weights cannot be offered so; the message says why in one sentence."""


def offer_number_format(base: Variant, number_format: str, *, slug: str = "") -> tuple[Variant, bool]:
    """A variant that runs `base`'s weights rounded to a format, and whether it is new.

    Called again it brings what was read from the weights up to date and leaves alone what people changed. Raises
    NoSuchFormat.
    """
    _require_possible(base, number_format)
    with transaction.atomic():
        variant, created = Variant.objects.get_or_create(
            card=base.card,
            slug=slug or f"{base.slug}-{number_format}",
            defaults={
                "backend": base.backend,
                "source": base.source,
                "format": base.format,
                "dtype": number_format,
                "relation": Relation.QUANTIZED,
                "base": base,
                "defaults": base.defaults,
                "queue": base.queue,
                "is_runnable": base.is_runnable,
                "position": base.position + 1 + NUMBER_FORMATS.index(number_format),
            },
        )
        is_stale = [variant.file_stamps, variant.facts.get("format")] != [base.file_stamps, base.facts.get("format")]
        if variant.source == base.source and (created or is_stale):
            _copy_what_was_read(base, variant)
    return variant, created


def _require_possible(base: Variant, number_format: str) -> None:
    if number_format not in NUMBER_FORMATS:
        raise NoSuchFormat(f"There is no format {number_format}; there are {' and '.join(NUMBER_FORMATS)}.")
    if base.backend != Backend.TRANSFORMERS or base.is_adapter or base.dtype in NUMBER_FORMATS:
        raise NoSuchFormat(f"{base.model_id} has no weights of its own that could be rounded.")
    architecture = base.facts.get("model_type")
    if base.is_runnable and architecture not in ROUNDED_ARCHITECTURES:
        raise NoSuchFormat(f"Rounded weights are not supported for the architecture {architecture}.")


def _copy_what_was_read(base: Variant, variant: Variant) -> None:
    variant.facts = {name: value for name, value in base.facts.items() if name not in {MEASURED, ENGINE}}
    variant.digests = base.digests
    variant.quantisation = base.quantisation
    variant.file_stamps = base.file_stamps
    variant.is_runnable = base.is_runnable
    variant.save(update_fields=["facts", "digests", "quantisation", "file_stamps", "is_runnable"])
    variant.tensor_lists.all().delete()
    TensorList.objects.bulk_create(
        TensorList(variant=variant, part=kept.part, packed=kept.packed) for kept in base.tensor_lists.all()
    )
