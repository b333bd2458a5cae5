"""`manage.py measure_variant OWNER/CARD:VARIANT`: quality and speed on this machine, into the variant's facts."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from inference.speed import CannotMeasure
from portal.catalog.measuring import Measurement, measure_variant
from portal.catalog.models import Variant
from portal.catalog.queries import get_variant_by_model_id


class Command(BaseCommand):
    help = (
        "Measure variants on this machine: tokens per second at batch 1 and 8, reading a prompt, and, for local "
        "weights, perplexity and mean divergence from float32 (an adapter: from its base) on a fixed text. The figures "
        "become part of the variant's facts and show on its card. Again is harmless: nothing is measured twice for the "
        "same weights and libraries."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model_ids", metavar="OWNER/CARD:VARIANT", nargs="+", help="which variants")
        parser.add_argument("--again", action="store_true", help="measure even what was measured already")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        variants = [_find(model_id) for model_id in options["model_ids"]]
        reports = []
        for variant in variants:
            measured = _measure(variant, again=options["again"], is_quiet=options["json"])
            reports.append({"model_id": variant.model_id, "measured_now": measured.is_new, **measured.record})
            if not options["json"]:
                self.stdout.write(_sentence(variant, measured))
        if options["json"]:
            self.stdout.write(json.dumps(reports))


def _find(model_id: str) -> Variant:
    variant = get_variant_by_model_id(model_id)
    if variant is None:
        raise CommandError(f"There is no variant called {model_id} that runs here.")
    return variant


def _measure(variant: Variant, *, again: bool, is_quiet: bool) -> Measurement:
    with tqdm(total=100, unit="%", file=sys.stderr, disable=is_quiet or None, leave=False) as bar:

        def show(share: float, stage: str) -> None:
            bar.set_description(stage, refresh=False)
            bar.update(100 * share - bar.n)

        try:
            return measure_variant(variant, again=again, on_progress=show)
        except (CannotMeasure, ImproperlyConfigured, ValueError) as error:
            raise CommandError(f"{variant.model_id} cannot be measured: {error}") from error


def _sentence(variant: Variant, measured: Measurement) -> str:
    speed, quality = measured.record["speed"], measured.record["quality"]
    rates = ", ".join(f"{rate} tokens/s at {batch}" for batch, rate in sorted(speed["tokens_per_s"].items()))
    words = f"{variant.model_id}: {rates}, reading {speed['prefill_tokens_per_s'] or '?'} tokens/s"
    if quality:
        words += f"; perplexity {quality['perplexity']['value']:.3f}"
        words += f" ({quality['reference']} {quality['reference_perplexity']:.3f})"
        words += f", mean KL {quality['mean_kl']['value']:.5f}"
    return words + ("" if measured.is_new else " (measured before)")
