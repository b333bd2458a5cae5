"""`manage.py import_model SOURCE`: a folder, a file, a hub's or a server's model becomes a card's variant."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from portal.catalog.import_source import ImportRequest, import_source
from portal.catalog.importing import ImportRefused
from portal.catalog.models import Backend
from portal.catalog.weight_shelf import Progress


class Command(BaseCommand):
    help = (
        "Import a model. SOURCE is a folder in Hugging Face form (README.md, config.json, tokenizer, safetensors), a "
        "LoRA adapter's folder, a GGUF file or its folder, a hub id (org/name or org/name@revision), a file of an "
        "installed package (package:name/file.gguf), or an OpenAI-compatible server's base URL (http://host:8000/v1). "
        "Again is harmless."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="what to import")
        parser.add_argument(
            "--name",
            "--card",
            default="",
            metavar="OWNER/NAME",
            help="the card (default: the hub's name, an adapter's base's card, or local/<the folder's or file's name>)",
        )
        parser.add_argument("--unpublished", action="store_true", help="a new card is shown to maintainers alone")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--file", default="", metavar="NAME", help="which GGUF file of a hub's repository or a folder"
        )
        parser.add_argument(
            "--base", default="", metavar="OWNER/NAME:VARIANT", help="the weights that an adapter runs on"
        )
        upstream = parser.add_argument_group("for a server")
        upstream.add_argument("--model", default="", help="the model's id there (default: its only one)")
        upstream.add_argument("--upstream-key", default="", metavar="NAME", help="a name in UPSTREAM_API_KEYS")
        upstream.add_argument("--server", default="", metavar="KIND", help="vllm, llama.cpp, … (default: what it says)")

    def handle(self, *args: Any, **options: Any) -> None:
        source: str = options["source"]
        request = ImportRequest(
            source=source,
            card=options["name"],
            base=options["base"],
            file=options["file"],
            model=options["model"],
            key=options["upstream_key"],
            server=options["server"],
            is_published=not options["unpublished"],
        )
        try:
            with tqdm(file=sys.stderr, disable=options["json"] or None, unit_scale=True, leave=False) as bar:
                imported = import_source(request, _show_on(bar))
        except ImportRefused as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or source}: {error.strerror or error}.") from error
        variant = imported.variant
        if options["json"]:
            report: dict[str, Any] = {
                "model_id": variant.model_id,
                "created": imported.created,
                "revision": imported.revision,
                "parameters": variant.facts.get("parameters"),
                "left_out": imported.left_out,
            }
            if variant.backend == Backend.OPENAI:
                report |= {name: variant.facts.get(name) for name in ("upstream_model", "server", "context_length")}
            if "hub" in variant.facts:
                report |= {"commit": variant.facts["hub"]["commit"]}
            if variant.base is not None:
                report |= {"base": variant.base.model_id}
            self.stdout.write(json.dumps(report))
            return
        done = "is imported" if imported.created else "was there already"
        self.stdout.write(f"{variant.model_id} {done}: {variant.card.get_absolute_url()}")
        if imported.left_out:
            self.stdout.write(f"Left out: {', '.join(imported.left_out)}")


def _show_on(bar: tqdm[Any]) -> Progress:
    shown = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown
        if stage != shown:
            shown = stage
            bar.reset(total)
            bar.set_description(stage, refresh=False)
            bar.unit = "%" if stage == "converting" else "B"
        bar.total = total
        bar.update(done - bar.n)

    return show
