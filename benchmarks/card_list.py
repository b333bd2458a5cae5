"""How long the server takes for the list of cards, a search in it and a card, on a shelf of 300.

    python -m benchmarks.card_list [--cards 300] [--rounds 100]

Fills an SQLite database of its own with cards as long as the shipped one, each with a variant, and asks for each page
in turn through the whole of Django: middleware, queries, template. Medians and 95th percentiles in ms, of processor
time, which other programs do not change, and of wall time, which they do; and the number of queries.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from importlib import import_module
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

OWNERS = ("acme", "north-lab", "openweights", "harbour", "quarry")
FAMILIES = ("Falcon", "Heron", "Walrus", "Otter", "Lynx", "Ibis", "Marten", "Stoat")
SIZES = {"135M": 135_000_000, "1.7B": 1_700_000_000, "8B": 8_000_000_000, "32B": 32_000_000_000, "70B": 70_000_000_000}
WARM_UP_ROUNDS = 3
KINDS = ("base", "instruct", "code")
LICENSES = ("apache-2.0", "mit", "llama3", "gemma", "cc-by-nc-4.0")
QUANTISATIONS = ("", "Q4_K_M", "Q8_0")
GATES = ("open", "open", "open", "agreement", "approval")
LANGUAGES = ("[en]", "[en, de]", "[fr, en, it]", "[zh, en]", "[ja]")
PAGES = {
    "first page": "/",
    "list": "/?sort=changed",
    "second page": "/?page=2",
    "search": "/?q=walrus",
    "search in the text": "/?q=laptop+processor",
    "filters": "/?license=mit&language=en&size=1&quantisation=Q4_K_M&gate=open&runnable=1",
    "largest first": "/?sort=largest",
    "card": "/models/acme/Falcon-135M-base/",
    "outline": "/models/acme/Falcon-135M-base/outline/",
    "lineage": "/models/acme/Falcon-135M-base/lineage/",
    "evidence": "/models/acme/Falcon-135M-base/evidence/",
    "feed": "/feed.atom",
}


def catalog(module: str) -> Any:
    """A module of the catalog, which can be imported only once Django is set up."""
    return import_module(f"portal.catalog.{module}")


def fill_shelf(count: int) -> None:
    """Cards with the text of the shipped one under other names."""
    models, publish_revision = catalog("models"), catalog("services").publish_revision
    shipped = (Path(__file__).parents[1] / "portal/catalog/seed_cards/smollm2-135m-instruct.md").read_text()
    names = islice(cycle(product(OWNERS, FAMILIES, SIZES, KINDS)), count)
    for number, ((owner, family, size, kind), license_, languages) in enumerate(
        zip(names, cycle(LICENSES), cycle(LANGUAGES), strict=False)
    ):
        text = shipped.replace("license: apache-2.0", f"license: {license_}", 1)
        text = text.replace("language:\n- en", f"language: {languages}", 1).replace("SmolLM2", family)
        base = f"{owner}/{family}-{size}-base" if kind != "base" else "elsewhere/teacher"
        text = text.replace("base_model: HuggingFaceTB/", f"base_model: {base} # ", 1)
        card = models.ModelCard.objects.create(
            owner_name=owner,
            slug=f"{family}-{size}-{kind}",
            title=f"{family} {size} {kind}",
            summary=f"{size} parameters, {kind}: chat, drafts and summaries.",
            gate=GATES[number % len(GATES)],
        )
        publish_revision(card, text, None)
        models.Variant.objects.create(
            card=card,
            slug="bf16",
            backend="transformers",
            source="weights/none",
            facts=facts_of(SIZES[size]),
            quantisation=QUANTISATIONS[number % len(QUANTISATIONS)],
            is_runnable=number % 2 == 0,
        )


def facts_of(parameters: int) -> dict[str, Any]:
    """As many as are read from real weights, with a template and files of their usual length."""
    files = [{"name": f"file-{number}.safetensors", "size_bytes": 10**9, "sha256": "a" * 64} for number in range(12)]
    template = "{% for message in messages %}{{ message['role'] + message['content'] }}{% endfor %}" * 40
    return {
        "parameters": parameters,
        "architecture": "LlamaForCausalLM",
        "context_length": 8192,
        "attention": "grouped-query",
        "attention_heads": 32,
        "key_value_heads": 8,
        "head_size": 128,
        "layers": 32,
        "dtypes": {"BF16": parameters},
        "weight_bytes": 2 * parameters,
        "vocabulary_size": 49152,
        "special_tokens": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
        "chat_template": template,
        "chat_template_sha256": "b" * 64,
        "files": files,
        "tensors": 272,
    }


def measure(rounds: int) -> None:
    """Print a table of the pages."""
    client = Client(SERVER_NAME="127.0.0.1")
    durations: dict[str, list[tuple[float, float]]] = {name: [] for name in PAGES}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, address in PAGES.items():
            before = (time.process_time(), time.perf_counter())
            response = client.get(address)
            after = (time.process_time(), time.perf_counter())
            if response.status_code != 200:
                raise SystemExit(f"{address} answered {response.status_code}")
            if number >= WARM_UP_ROUNDS:
                durations[name].append(((after[0] - before[0]) * 1000, (after[1] - before[1]) * 1000))
    print(f"{'ms':<20}{'processor':>12}{'p95':>8}{'wall':>8}{'p95':>8}{'queries':>10}")
    for name, address in PAGES.items():
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        processor, wall = zip(*durations[name], strict=True)
        figures = [figure for kind in (processor, wall) for figure in (statistics.median(kind), p95(kind))]
        print(f"{name:<20}{figures[0]:>12.1f}{figures[1]:>8.1f}{figures[2]:>8.1f}{figures[3]:>8.1f}{len(queries):>10}")


def p95(durations: tuple[float, ...]) -> float:
    return statistics.quantiles(durations, n=20, method="inclusive")[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steelyard-benchmark-") as home:
        os.environ |= {"STEELYARD_HOME": home, "DATABASE_URL": f"sqlite:///{home}/database.sqlite3"}
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        fill_shelf(arguments.cards)
        print(f"{arguments.cards} cards, {arguments.rounds} rounds")
        # As the web process does when it starts.
        import_module("portal.operations.settled_memory").settle_memory()
        measure(arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
