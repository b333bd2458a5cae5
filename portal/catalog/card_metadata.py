"""What a card's front matter says, in the forms that pages show; whatever has an odd shape there is left out here."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import get_language_info

from portal.catalog.card_fields import FIELD_NAMES

MAX_ITEMS: Final = 100
MAX_EXAMPLES: Final = 12
MAX_EXAMPLE_CHARACTERS: Final = 2_000
# Our own block of the front matter (card_training.py); the hub keeps it as it keeps every field that it does not know.
TRAINING_FIELD: Final = "training"
_MOST_GRAMS: Final = 1e15
_PICTURE: Final = re.compile(r"^data:image/(?P<kind>png|jpeg|gif|webp);base64,(?P<bytes>[A-Za-z0-9+/=]{8,140000})$")
# Many cards write a file of their own repository as its address on the hub.
_PICTURE_FILE: Final = re.compile(
    r"^(?:\./|https://huggingface\.co/[\w.-]{1,96}/[\w.-]{1,96}/(?:resolve|blob|raw)/[\w.-]{1,96}/)?"
    r"(?P<name>\w[\w .-]{0,90}\.(?:png|jpe?g|gif|webp))(?:\?download=true)?$",
    re.IGNORECASE,
)
_MAGIC: Final = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8", "webp": b"RIFF"}
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
    """One number of the card's `model-index`, as somebody published it; `detail` is the dataset's part and version."""

    dataset: str
    metric: str
    value: str
    source_name: str
    source_url: str
    verified: bool
    task: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Emissions:
    """What the training is said to have emitted, in grams of CO2-equivalent."""

    grams: float
    source: str = ""
    training_type: str = ""
    location: str = ""
    hardware: str = ""

    @property
    def amount(self) -> str:
        """With the unit that keeps the number short."""
        for size, unit in ((1_000_000, "t"), (1_000, "kg")):
            if self.grams >= size:
                return f"{self.grams / size:,.3g} {unit}"
        return f"{self.grams:,.3g} g"


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
    new_version: Reference | None
    datasets: tuple[Reference, ...]
    metrics: tuple[str, ...]
    emissions: Emissions | None
    thumbnail: str
    thumbnail_file: str
    examples: tuple[Example, ...]
    results: tuple[PublishedResult, ...]
    others: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedMetadata:
    """The few fields that a list of cards shows."""

    license: Reference | None
    languages: tuple[str, ...]
    thumbnail: str
    thumbnail_file: str


def describe_listed(metadata: dict[str, Any]) -> ListedMetadata:
    """As `describe_metadata`, without what no list shows: results and examples cost most of the time. Never raises."""
    return ListedMetadata(
        license=_license(metadata),
        languages=tuple(language_name(code) for code in _texts(metadata.get("language"))),
        thumbnail=_thumbnail(metadata.get("thumbnail")),
        thumbnail_file=_thumbnail_file(metadata.get("thumbnail")),
    )


def describe_metadata(metadata: dict[str, Any]) -> CardMetadata:
    """Read front matter that may have any shape. Never raises."""
    newer = _text(metadata.get("new_version"))
    return CardMetadata(
        license=_license(metadata),
        languages=tuple(language_name(code) for code in _texts(metadata.get("language"))),
        language_codes=_texts(metadata.get("language")),
        tags=_texts(metadata.get("tags")),
        task=_text(metadata.get("pipeline_tag")),
        library=_text(metadata.get("library_name")),
        base_models=tuple(_on_hub(name) for name in _texts(metadata.get("base_model"))),
        base_model_relation=_text(metadata.get("base_model_relation")),
        new_version=_on_hub(newer) if newer else None,
        metrics=_texts(metadata.get("metrics")),
        emissions=_emissions(metadata.get("co2_eq_emissions")),
        thumbnail=_thumbnail(metadata.get("thumbnail")),
        thumbnail_file=_thumbnail_file(metadata.get("thumbnail")),
        datasets=tuple(_on_hub(name, "datasets/") for name in _texts(metadata.get("datasets"))),
        examples=tuple(_examples(metadata.get("widget"))),
        results=tuple(_results(metadata.get("model-index"))),
        others={name: value for name, value in metadata.items() if name not in FIELD_NAMES | {TRAINING_FIELD}},
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


def _emissions(value: Any) -> Emissions | None:
    said = value if isinstance(value, dict) else {"emissions": value}
    grams = said.get("emissions")
    if not isinstance(grams, int | float) or isinstance(grams, bool) or not 0 <= grams < _MOST_GRAMS:
        return None
    return Emissions(
        float(grams),
        source=_text(said.get("source")),
        training_type=_text(said.get("training_type")),
        location=_text(said.get("geographical_location")),
        hardware=_text(said.get("hardware_used")),
    )


def _thumbnail(value: Any) -> str:
    """A small picture that the card itself carries; an address is never loaded, so it counts as none."""
    return value if isinstance(value, str) and _PICTURE.match(value) else ""


def _thumbnail_file(value: Any) -> str:
    """The name of a picture beside the card's text."""
    found = _PICTURE_FILE.match(value) if isinstance(value, str) else None
    return found["name"] if found else ""


def picture_kind(content: bytes) -> str:
    """What the bytes begin as; empty for no picture that browsers are given."""
    for kind, magic in _MAGIC.items():
        if content.startswith(magic) and (kind != "webp" or content[8:12] == b"WEBP"):
            return kind
    return ""


def thumbnail_bytes(thumbnail: str) -> tuple[str, bytes] | None:
    """A picture's type and bytes; None where the bytes are not of the type that they are said to be."""
    found = _PICTURE.match(thumbnail)
    if found is None:
        return None
    try:
        picture = base64.b64decode(found["bytes"], validate=True)
    except ValueError:
        return None
    kind = found["kind"]
    return (f"image/{kind}", picture) if picture_kind(picture) == kind else None


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
                        task=_text(_dict(result.get("task")).get("name"))
                        or _text(_dict(result.get("task")).get("type")),
                        detail=", ".join(_dataset_details(dataset)),
                        dataset=_text(dataset.get("name")) or _text(dataset.get("type")),
                        metric=_text(metric.get("name")) or _text(metric.get("type")),
                        value=str(value)[:40],
                        source_name=_text(source.get("name")) or _web_address(source.get("url")),
                        source_url=_web_address(source.get("url")),
                        verified=metric.get("verified") is True,
                    )


def _dataset_details(dataset: dict[str, Any]) -> Iterator[str]:
    for key in ("config", "split", "revision"):
        if value := _text(dataset.get(key)):
            yield value[:12] if key == "revision" else value
