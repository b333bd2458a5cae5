"""`manage.py import_model SOURCE`: a folder of weights, or a server's model, becomes a card's variant that can run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from portal.catalog.importing import ImportedModel, ImportRefused, Progress, import_folder
from portal.catalog.importing_upstream import import_upstream
from portal.catalog.models import Backend


class Command(BaseCommand):
    help = (
        "Import a folder in Hugging Face form (README.md, config.json, tokenizer, safetensors), or a model of an "
        "OpenAI-compatible server by its base URL (http://host:8000/v1). Again is harmless."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="the folder, or the server's base URL")
        parser.add_argument(
            "--name", "--card", default="", metavar="OWNER/NAME", help="the card (default: local/<folder's or model's>)"
        )
        parser.add_argument("--unpublished", action="store_true", help="a new card is shown to maintainers alone")
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        upstream = parser.add_argument_group("for a server")
        upstream.add_argument("--model", default="", help="the model's id there (default: its only one)")
        upstream.add_argument("--upstream-key", default="", metavar="NAME", help="a name in UPSTREAM_API_KEYS")
        upstream.add_argument("--server", default="", metavar="KIND", help="vllm, llama.cpp, … (default: what it says)")

    def handle(self, *args: Any, **options: Any) -> None:
        source: str = options["source"]
        try:
            if source.startswith(("http://", "https://")):
                imported = _import_from_server(source, options)
            else:
                imported = _import_from_folder(Path(source), options)
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
            self.stdout.write(json.dumps(report))
            return
        done = "is imported" if imported.created else "was there already"
        self.stdout.write(f"{variant.model_id} {done}: {variant.card.get_absolute_url()}")
        if imported.left_out:
            self.stdout.write(f"Left out: {', '.join(imported.left_out)}")


def _import_from_server(address: str, options: dict[str, Any]) -> ImportedModel:
    return import_upstream(
        address,
        model=options["model"],
        card_name=options["name"],
        key_name=options["upstream_key"],
        server=options["server"],
        is_published=not options["unpublished"],
    )


def _import_from_folder(source: Path, options: dict[str, Any]) -> ImportedModel:
    for name in ("model", "upstream_key", "server"):
        if options[name]:
            raise ImportRefused(f"--{name.replace('_', '-')} is for a server's model, and {source} is no http address.")
    owner_name, _, slug = (options["name"] or f"local/{source.resolve().name}").partition("/")
    with tqdm(unit="B", unit_scale=True, desc="copying", file=sys.stderr, disable=options["json"] or None) as bar:
        return import_folder(
            source,
            owner_name=owner_name,
            slug=slug,
            is_published=not options["unpublished"],
            on_progress=_show_on(bar),
        )


def _show_on(bar: Any) -> Progress:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show
