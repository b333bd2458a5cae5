"""Asks for readings of weights: what was read once of the same bytes is answered at once, the rest wakes a worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.catalog.job_dispatch import dispatch_soon
from portal.catalog.job_models import ACTIVE, Reading, WeightReading
from portal.catalog.measured_facts import is_measured
from portal.catalog.models import TensorPart, Variant

READING_RATE = "20/minute"
# Raised when a reading's result changes its form or its numbers.
_VERSION = 1


def find_tensor_reading(variant: Variant, part: TensorPart, tensor: str) -> WeightReading | None:
    """The reading of these bytes, whichever variant it was asked for."""
    return WeightReading.objects.filter(key=_tensor_key(variant, part, tensor)).first()


def find_comparison(first: Variant, second: Variant) -> WeightReading | None:
    return WeightReading.objects.filter(key=_comparison_key(first, second)).first()


def ask_tensor_reading(actor: Actor, variant: Variant, part: TensorPart, tensor: str) -> WeightReading:
    """Have one tensor's values read. Raises LimitExceeded."""
    key = _tensor_key(variant, part, tensor)
    return _ask(actor, key, kind=Reading.TENSOR, variant=variant, part=part, tensor=tensor)


def ask_comparison(actor: Actor, first: Variant, second: Variant) -> WeightReading:
    """Have two variants compared. Raises LimitExceeded."""
    return _ask(actor, _comparison_key(first, second), kind=Reading.COMPARISON, variant=first, other=second)


def find_measuring(variant: Variant) -> WeightReading | None:
    """Where measuring the variant stands; what came of it is among its facts."""
    return WeightReading.objects.filter(key=_measuring_key(variant)).first()


def ask_measuring(actor: Actor, variant: Variant) -> WeightReading:
    """Have a variant's speed and quality measured, anew where they were before. Raises LimitExceeded."""
    return _ask(actor, _measuring_key(variant), kind=Reading.MEASURING, variant=variant)


def ask_measuring_all(actor: Actor, variants: Iterable[Variant]) -> list[WeightReading]:
    """Have those measured that run here, have no figures yet and wait for none: one use of the rate, however many.

    Raises LimitExceeded, and then nobody's measuring was asked for.
    """
    wanted = [each for each in variants if each.is_runnable and not is_measured(each)]
    states = measuring_states(wanted)
    wanted = [each for each in wanted if states.get(each.pk) not in ACTIVE]
    if wanted:
        check_rate(actor, "weight readings", READING_RATE)
    return [_queue(_measuring_key(each), kind=Reading.MEASURING, variant=each) for each in wanted]


def measuring_states(variants: Iterable[Variant]) -> dict[int, str]:
    """Where measuring each variant stands, by its key; those that nobody asked for are left out."""
    asked = WeightReading.objects.filter(kind=Reading.MEASURING, variant__in=[each.pk for each in variants])
    return dict(asked.values_list("variant_id", "state"))


def _ask(actor: Actor, key: str, **columns: Any) -> WeightReading:
    known = WeightReading.objects.filter(key=key).first()
    if known is None or not known.is_active:
        if known is not None and known.state == "succeeded" and known.kind != Reading.MEASURING:
            return known
        check_rate(actor, "weight readings", READING_RATE)
    return _queue(key, known, **columns)


def _queue(key: str, known: WeightReading | None = None, **columns: Any) -> WeightReading:
    known = known or WeightReading.objects.filter(key=key).first()
    with transaction.atomic():
        if known is None:
            try:
                with transaction.atomic():
                    known = WeightReading.objects.create(key=key, **columns)
            except IntegrityError:
                return WeightReading.objects.get(key=key)
            dispatch_soon(known)
        elif known.ask_again():
            dispatch_soon(known)
    return known


def _tensor_key(variant: Variant, part: TensorPart, tensor: str) -> str:
    origin = variant.facts.get("origin")
    source = origin.get("source_sha256") if part == TensorPart.ORIGIN and isinstance(origin, dict) else None
    return _digest("tensor", source or _weights_key(variant), tensor)


def _comparison_key(first: Variant, second: Variant) -> str:
    return _digest("comparison", _computed_key(first), _computed_key(second))


def _measuring_key(variant: Variant) -> str:
    return _digest("measuring", variant.pk)


def _computed_key(variant: Variant) -> Any:
    """What the engine computes with: the stored weights, how they are rounded, and what an adapter adds."""
    base = _computed_key(variant.base) if variant.is_adapter and variant.base is not None else None
    return [_weights_key(variant), variant.dtype if base is None else "", base]


def _weights_key(variant: Variant) -> Any:
    weights = {name: digest for name, digest in variant.digests.items() if name.endswith(".safetensors")}
    # Without digests, such as of a variant that was never read, nothing is shared.
    return weights or variant.pk


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([_VERSION, *parts], sort_keys=True).encode()).hexdigest()
