"""`manage.py import_model SOURCE`: a folder of weights becomes a card's variant, which workers can run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from portal.catalog.importing import ImportRefused, Progress, import_folder


class Command(BaseCommand):
    help = "Import a folder in Hugging Face form (README.md, config.json, tokenizer, safetensors). Again is harmless."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder")
        parser.add_argument(
            "--name", default="", metavar="OWNER/NAME", help="the card (default: local/<folder's name>)"
        )
        parser.add_argument("--unpublished", action="store_true", help="a new card is shown to maintainers alone")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        source: Path = options["source"]
        owner_name, _, slug = (options["name"] or f"local/{source.resolve().name}").partition("/")
        with tqdm(unit="B", unit_scale=True, desc="copying", file=sys.stderr, disable=options["json"] or None) as bar:
            try:
                imported = import_folder(
                    source,
                    owner_name=owner_name,
                    slug=slug,
                    is_published=not options["unpublished"],
                    on_progress=_show_on(bar),
                )
            except ImportRefused as error:
                raise CommandError(str(error)) from error
            except OSError as error:
                raise CommandError(f"{error.filename or source}: {error.strerror or error}.") from error
        variant = imported.variant
        if options["json"]:
            report = {
                "model_id": variant.model_id,
                "created": imported.created,
                "revision": imported.revision,
                "parameters": variant.facts.get("parameters"),
                "left_out": imported.left_out,
            }
            self.stdout.write(json.dumps(report))
            return
        done = "is imported" if imported.created else "was there already"
        self.stdout.write(f"{variant.model_id} {done}: {variant.card.get_absolute_url()}")
        if imported.left_out:
            self.stdout.write(f"Left out: {', '.join(imported.left_out)}")


def _show_on(bar: Any) -> Progress:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show
