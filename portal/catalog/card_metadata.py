"""What a card's front matter says, in the forms that pages show; whatever has an odd shape there is left out here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import get_language_info

MAX_ITEMS: Final = 100
MAX_EXAMPLES: Final = 12
MAX_EXAMPLE_CHARACTERS: Final = 2_000
_HUB_ID: Final = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?$", re.ASCII)
_WEB_ADDRESS: Final = re.compile(r"^https?://[^\s\x00-\x1f]+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reference:
    """Something named on a model hub; `url` is empty when the name is no hub id."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt that the card offers to try."""

    title: str
    prompt: str


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """One number of the card's `model-index`, as somebody published it."""

    dataset: str
    metric: str
    value: str
    source_name: str
    source_url: str
    verified: bool


@dataclass(frozen=True, slots=True)
class CardMetadata:
    """The fields that the pages know. Unknown fields stay in the revision's metadata and in its text."""

    license: Reference | None
    languages: tuple[str, ...]
    language_codes: tuple[str, ...]
    tags: tuple[str, ...]
    task: str
    library: str
    base_models: tuple[Reference, ...]
    base_model_relation: str
    datasets: tuple[Reference, ...]
    examples: tuple[Example, ...]
    results: tuple[PublishedResult, ...]


def describe_metadata(metadata: dict[str, Any]) -> CardMetadata:
    """Read front matter that may have any shape. Never raises."""
    return CardMetadata(
        license=_license(metadata),
        languages=tuple(language_name(code) for code in _texts(metadata.get("language"))),
        language_codes=_texts(metadata.get("language")),
        tags=_texts(metadata.get("tags")),
        task=_text(metadata.get("pipeline_tag")),
        library=_text(metadata.get("library_name")),
        base_models=tuple(_on_hub(name) for name in _texts(metadata.get("base_model"))),
        base_model_relation=_text(metadata.get("base_model_relation")),
        datasets=tuple(_on_hub(name, "datasets/") for name in _texts(metadata.get("datasets"))),
        examples=tuple(_examples(metadata.get("widget"))),
        results=tuple(_results(metadata.get("model-index"))),
    )


def _text(value: Any) -> str:
    return value.strip()[:200] if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    """The card specification allows one text or a list of them in many places."""
    items = value if isinstance(value, list) else [value]
    return tuple(text for item in items[:MAX_ITEMS] if (text := _text(item)))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value[:MAX_ITEMS] if isinstance(item, dict)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _web_address(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 2_000 and _WEB_ADDRESS.match(value) else ""


def _on_hub(name: str, kind: str = "") -> Reference:
    return Reference(name, f"https://huggingface.co/{kind}{name}" if _HUB_ID.match(name) else "")


def _license(metadata: dict[str, Any]) -> Reference | None:
    """`license: other` has its name and link in fields of their own."""
    identifier = ", ".join(_texts(metadata.get("license")))
    name = _text(metadata.get("license_name")) if identifier in {"", "other"} else ""
    shown = name or identifier
    return Reference(shown, _web_address(metadata.get("license_link"))) if shown else None


def language_name(code: str) -> str:
    """The language in the reader's language, or its code where nobody knows it."""
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        return code


def _examples(widget: Any) -> Iterator[Example]:
    for item in _dicts(widget)[:MAX_EXAMPLES]:
        prompt = item.get("text")
        for message in _dicts(item.get("messages")):
            if message.get("role") == "user":
                prompt = message.get("content")
        if isinstance(prompt, str) and 0 < len(prompt.strip()) <= MAX_EXAMPLE_CHARACTERS:
            yield Example(_text(item.get("example_title")), prompt.strip())


def _results(model_index: Any) -> Iterator[PublishedResult]:
    for model in _dicts(model_index):
        for result in _dicts(model.get("results")):
            dataset, source = _dict(result.get("dataset")), _dict(result.get("source"))
            for metric in _dicts(result.get("metrics")):
                value = metric.get("value")
                if isinstance(value, (int, float, str)) and not isinstance(value, bool):
                    yield PublishedResult(
                        dataset=_text(dataset.get("name")) or _text(dataset.get("type")),
                        metric=_text(metric.get("name")) or _text(metric.get("type")),
                        value=str(value)[:40],
                        source_name=_text(source.get("name")) or _web_address(source.get("url")),
                        source_url=_web_address(source.get("url")),
                        verified=metric.get("verified") is True,
                    )
