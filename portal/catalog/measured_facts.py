"""What was measured of a variant on this installation (measuring.py), in words and with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from portal.catalog.models import Variant

MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in words, and from where to where its 95 % interval reaches."""

    value: str
    interval: str

    def __str__(self) -> str:
        return f"{self.value} ({self.interval})"


@dataclass(frozen=True, slots=True)
class MeasuredFigures:
    """The figures that variants are compared by; empty where they were not measured.

    one, together: tokens per second for one answer, and for the most that were measured at once.
    qualities: perplexity, divergence from float32 in nats per token, how often the same token is likeliest.
    tokens: of the text that the qualities are over. machine: its processor and cores. load: how busy it was.
    """

    one: str = ""
    together: str = ""
    qualities: tuple[Figure, ...] = ()
    tokens: int = 0
    machine: str = ""
    load: float | None = None


def is_measured(variant: Variant) -> bool:
    """Whether this installation has figures of the variant."""
    return bool(_record(variant))


def measured_figures(variant: Variant) -> MeasuredFigures:
    """In words, each with the interval that it has."""
    record = _record(variant)
    rates = _rates(_part(record, "speed"))
    quality = _part(record, "quality")
    many = [rate for batch, rate in rates if batch > 1]
    return MeasuredFigures(
        one=next((_decimal(rate, 0) for batch, rate in rates if batch == 1), ""),
        together=_decimal(many[-1], 0) if many else "",
        qualities=(
            _estimate(quality, "perplexity", 2),
            _estimate(quality, "mean_kl", 4),
            _estimate(quality, "same_best", 1, scale=100, unit=" %"),
        )
        if quality
        else (),
        tokens=tokens if isinstance(tokens := quality.get("tokens"), int) else 0,
        machine=_joined(_machine(record)),
        load=load if isinstance(load := _part(record, "machine").get("load"), int | float) else None,
    )


def measured_rows(variant: Variant) -> Iterator[tuple[str, str]]:
    """Labels and values, none where nothing was measured."""
    record = _record(variant)
    if not record:
        return
    yield _("Speed measured here"), _speed(_part(record, "speed"))
    quality = _part(record, "quality")
    if quality:
        told = _("%(figure)s on a fixed text of %(tokens)s tokens; float32 has %(reference)s")
        if variant.is_adapter:
            told = _("%(figure)s on a fixed text of %(tokens)s tokens; the base in float32 has %(reference)s")
        yield (
            _("Perplexity"),
            told
            % {
                "figure": _estimate(quality, "perplexity", 2),
                "tokens": quality.get("tokens"),
                "reference": _decimal(quality.get("reference_perplexity"), 2),
            },
        )
        apart = _("Divergence from the base") if variant.is_adapter else _("Divergence from float32")
        yield apart, _("%s nats per token") % _estimate(quality, "mean_kl", 5)
        yield _("Same likeliest token"), str(_estimate(quality, "same_best", 1, scale=100, unit=" %"))
    yield _("Measured on"), _joined([*_machine(record), *_circumstances(record)])


def _record(variant: Variant) -> Mapping[str, Any]:
    return _part(variant.facts, MEASURED)


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _rates(speed: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """Tokens per second by the number of answers at once, fewest first."""
    return sorted((int(batch), rate) for batch, rate in _part(speed, "tokens_per_s").items())


def _speed(speed: Mapping[str, Any]) -> str:
    words = [
        _("%(rate)s tokens/s for one answer") % {"rate": _decimal(rate, 0)}
        if batch == 1
        else _("%(rate)s tokens/s for %(count)s answers together") % {"rate": _decimal(rate, 0), "count": batch}
        for batch, rate in _rates(speed)
    ]
    if speed.get("prefill_tokens_per_s"):
        words.append(_("reads %(rate)s tokens/s") % {"rate": _decimal(speed["prefill_tokens_per_s"], 0)})
    return ", ".join(words)


def _machine(record: Mapping[str, Any]) -> list[str]:
    machine = _part(record, "machine")
    return [
        str(machine.get("processor") or ""),
        _("%s cores") % machine["cores"] if machine.get("cores") else "",
    ]


def _circumstances(record: Mapping[str, Any]) -> list[str]:
    """How busy the machine was, and the day."""
    load = _part(record, "machine").get("load")
    moment = datetime.fromisoformat(str(record["measured_at"])) if record.get("measured_at") else None
    return [
        _("load %s") % _decimal(load, 1) if load is not None else "",
        formats.date_format(timezone.localtime(moment), "DATE_FORMAT") if moment else "",
    ]


def _joined(words: list[str]) -> str:
    return ", ".join(word for word in words if word)


def _estimate(quality: Mapping[str, Any], name: str, digits: int, *, scale: float = 1, unit: str = "") -> Figure:
    part = _part(quality, name)
    value, low, high = (_decimal(part.get(key), digits, scale) for key in ("value", "low", "high"))
    return Figure(f"{value}{unit}", f"{low}\u2013{high}")


def _decimal(value: Any, digits: int, scale: float = 1) -> str:
    if not isinstance(value, int | float):
        return "?"
    return formats.number_format(round(value * scale, digits), digits, force_grouping=True)
