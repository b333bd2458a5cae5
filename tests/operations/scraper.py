"""A scraper of `/metrics`: what it sends, and the values that it reads."""

from __future__ import annotations

from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-scraper's-token".replace("'", "-") + "-of-32-characters-and-more"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Values:
    """Each sample by its name and labels, as the library's own reader of the format has it; none is there twice."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(values) == len(samples)
    return values


def scraped() -> Values:
    answer = Client().get("/metrics", headers=WITH_TOKEN)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    return parsed(answer.text)


def told(values: Values, name: str, **labels: str) -> float:
    return values[f"steelyard_{name}", frozenset(labels.items())]


def names_in(values: Values) -> set[str]:
    return {name.removeprefix("steelyard_") for name, _labels in values}
