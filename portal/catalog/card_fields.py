"""The shapes that the model card specification asks of its fields, as far as huggingface_hub cannot load others.

Fields that the specification does not know may have any shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import gettext as _

TEXT_FIELDS: Final = (
    "license_name",
    "license_link",
    "library_name",
    "pipeline_tag",
    "base_model_relation",
    "new_version",
)
TEXT_OR_LIST_FIELDS: Final = ("license", "language", "tags", "datasets", "metrics", "base_model")
# Names of parameters of huggingface_hub's own card class, which a field of the same name would break.
RESERVED_FIELDS: Final = ("eval_results", "ignore_metadata_errors", "self")

Problem = tuple[str, str]
"""A field's path, such as model-index[0].name, and what would be valid there."""


def field_problems(metadata: dict[str, Any]) -> Iterator[Problem]:
    """Everything in the front matter that has a wrong shape."""
    for name in RESERVED_FIELDS:
        if name in metadata:
            yield name, _("this name is reserved by the card format; use another.")
    for name in TEXT_FIELDS:
        if not isinstance(metadata.get(name), str | None):
            yield name, _("must be text.")
    for name in TEXT_OR_LIST_FIELDS:
        yield from _text_or_list(name, metadata.get(name))
    yield from _model_index(metadata.get("model-index"))


def _text_or_list(name: str, value: Any) -> Iterator[Problem]:
    if value is None or isinstance(value, str):
        return
    if not isinstance(value, list):
        yield name, _("must be text or a list of texts.")
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            # YAML reads `no`, the code of Norwegian, as a truth value.
            yield f"{name}[{index}]", _("must be text; put it in quotes if it is.")


def _model_index(value: Any) -> Iterator[Problem]:
    if not value:
        return
    if not isinstance(value, list):
        yield "model-index", _("must be a list of models, each with a name and results.")
        return
    for number, model in enumerate(value):
        path = f"model-index[{number}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            yield path, _("must have a name.")
        elif not isinstance(model.get("results"), list):
            yield path, _("must have a list of results.")
        else:
            for index, result in enumerate(model["results"]):
                yield from _result(f"{path}.results[{index}]", result)


def _result(path: str, result: Any) -> Iterator[Problem]:
    if not isinstance(result, dict):
        yield path, _("must have task, dataset and metrics.")
        return
    yield from _texts_in(path, result, "task", ("type",))
    yield from _texts_in(path, result, "dataset", ("type", "name"))
    source = result.get("source")
    if source is not None:
        if not isinstance(source, dict):
            yield f"{path}.source", _("must have a url, and may have a name.")
        elif source.get("name") is not None and not isinstance(source.get("url"), str):
            yield f"{path}.source", _("must have a url where it has a name.")
    metrics = result.get("metrics")
    if not isinstance(metrics, list):
        yield path, _("must have a list of metrics.")
        return
    for index, metric in enumerate(metrics):
        if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or "value" not in metric:
            yield f"{path}.metrics[{index}]", _("must have a type and a value.")


def _texts_in(path: str, result: dict[str, Any], part: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    value = result.get(part)
    for key in keys:
        if not isinstance(value, dict) or not isinstance(value.get(key), str):
            yield (
                f"{path}.{part}" if isinstance(value, dict) else path,
                _("must have %(field)s as text.") % {"field": f"{part}.{key}"},
            )
