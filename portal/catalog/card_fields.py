"""Every field of the model card specification: what it says, an example, and the shape that is valid there.

The editor's help, the parser's errors and the documentation all read this one list. Fields that the specification does
not know may have any shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

RELATIONS: Final = ("finetune", "adapter", "quantized", "merge")
GATE_FIELD_KINDS: Final = ("text", "checkbox", "date_picker", "country", "ip_location", "select")
EMISSION_TEXTS: Final = ("source", "training_type", "geographical_location", "hardware_used")
# Names of parameters of huggingface_hub's own card class, which a field of the same name would break.
RESERVED_FIELDS: Final = ("eval_results", "ignore_metadata_errors", "self")
_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

Problem = tuple[str, str]
"""A field's path, such as model-index[0].name, and what would be valid there."""

Check = Callable[[str, Any], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class CardField:
    """One field of the specification."""

    name: str
    example: str
    meaning: Promise
    check: Check


def field_problems(metadata: dict[str, Any]) -> Iterator[Problem]:
    """Everything in the front matter that has a wrong shape."""
    for name in RESERVED_FIELDS:
        if name in metadata:
            yield name, _("this name is reserved by the card format; use another.")
    for field in CARD_FIELDS:
        value = metadata.get(field.name)
        if value is not None:
            yield from field.check(field.name, value)


# --- Shapes


def _text(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield name, _("must be text.")


def _text_or_list(name: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        yield name, _("must be text or a list of texts.")
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            # YAML reads `no`, the code of Norwegian, as a truth value.
            yield f"{name}[{index}]", _("must be text; put it in quotes if it is.")


def _truth(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield name, _("must be true or false.")


def _relation(name: str, value: Any) -> Iterator[Problem]:
    if value not in RELATIONS:
        yield name, _("must be text, one of %(names)s.") % {"names": ", ".join(RELATIONS)}


def _hub_id(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str) or not _HUB_ID.fullmatch(value):
        yield name, _("must be text, a model's id such as owner/name.")


def _emissions(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, dict):
        if not _is_amount(value):
            yield name, _("must be grams of CO2-equivalent as a number, or a mapping with emissions.")
        return
    if not _is_amount(value.get("emissions")):
        yield f"{name}.emissions" if "emissions" in value else name, _("must have emissions in grams, 0 or more.")
    for key in EMISSION_TEXTS:
        if not isinstance(value.get(key), str | None):
            yield f"{name}.{key}", _("must be text.")


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _inference(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, bool | str | dict):
        yield name, _("must be true, false, or a mapping with parameters.")


def _widget(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield name, _("must be a list of examples, each with text or messages.")
        return
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            yield f"{name}[{index}]", _("must be a mapping such as “text: Say hello”, or with messages.")
        elif "messages" in item:
            yield from _messages(f"{name}[{index}].messages", item["messages"])


def _messages(path: str, value: Any) -> Iterator[Problem]:
    turns = value if isinstance(value, list) else [None]
    if not all(isinstance(turn, dict) and isinstance(turn.get("role"), str) for turn in turns):
        yield path, _("must be a list of messages, each with role and content.")


def _gate_fields(name: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield name, _("must be a mapping from each question to its kind, such as “Company: text”.")
        return
    kinds = ", ".join(GATE_FIELD_KINDS)
    for question, kind in value.items():
        path = f"{name}.{question}"
        if isinstance(kind, str):
            if kind not in GATE_FIELD_KINDS or kind == "select":
                allowed = ", ".join(each for each in GATE_FIELD_KINDS if each != "select")
                yield (
                    path,
                    _("must be one of %(kinds)s, or a mapping with type: select and options.") % {"kinds": allowed},
                )
        elif not isinstance(kind, dict) or kind.get("type") not in GATE_FIELD_KINDS:
            yield path, _("must have a type, one of %(kinds)s.") % {"kinds": kinds}
        elif kind["type"] == "select":
            yield from _options(path, kind.get("options"))


def _options(path: str, options: Any) -> Iterator[Problem]:
    if not isinstance(options, list) or not options:
        yield path, _("must have options, a list of texts or of label and value.")
        return
    for index, option in enumerate(options):
        is_pair = isinstance(option, dict) and isinstance(option.get("label"), str)
        if not (is_pair or isinstance(option, str)):
            yield f"{path}.options[{index}]", _("must be text, or have label and value.")


def _model_index(name: str, value: Any) -> Iterator[Problem]:
    if not value:
        return
    if not isinstance(value, list):
        yield name, _("must be a list of models, each with a name and results.")
        return
    for number, model in enumerate(value):
        path = f"{name}[{number}]"
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
        elif not isinstance(metric.get("verified"), bool | None):
            yield f"{path}.metrics[{index}].verified", _("must be true or false.")


def _texts_in(path: str, result: dict[str, Any], part: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    value = result.get(part)
    for key in keys:
        if not isinstance(value, dict) or not isinstance(value.get(key), str):
            yield (
                f"{path}.{part}" if isinstance(value, dict) else path,
                _("must have %(field)s as text.") % {"field": f"{part}.{key}"},
            )


# --- The specification

CARD_FIELDS: Final = (
    CardField("license", "apache-2.0", gettext_lazy("The licence's identifier, or “other”."), _text_or_list),
    CardField("license_name", "acme-1.0", gettext_lazy("The name of a licence of your own."), _text),
    CardField("license_link", "https://acme.example/licence", gettext_lazy("Where that licence is written."), _text),
    CardField(
        "language",
        "[en, de]",
        gettext_lazy("Codes of languages; Norwegian in quotes, since YAML reads no as a truth value."),
        _text_or_list,
    ),
    CardField("tags", "[chat, small]", gettext_lazy("Words to find the card by."), _text_or_list),
    CardField("pipeline_tag", "text-generation", gettext_lazy("The task."), _text),
    CardField("library_name", "transformers", gettext_lazy("What loads the weights."), _text),
    CardField("pretty_name", "Acme 7B", gettext_lazy("A name for people."), _text),
    CardField("datasets", "[owner/dataset]", gettext_lazy("What it was trained on."), _text_or_list),
    CardField("metrics", "[accuracy]", gettext_lazy("What it is measured by."), _text_or_list),
    CardField("base_model", "owner/model", gettext_lazy("What it was made from; a list for a merge."), _text_or_list),
    CardField(
        "base_model_relation",
        "quantized",
        gettext_lazy("How: finetune, adapter, quantized or merge."),
        _relation,
    ),
    CardField("new_version", "owner/newer", gettext_lazy("The model that replaces this one: a banner."), _hub_id),
    CardField(
        "co2_eq_emissions",
        "{emissions: 120, source: CodeCarbon}",
        gettext_lazy(
            "Grams of CO2-equivalent of the training, with source, training_type, geographical_location, hardware_used."
        ),
        _emissions,
    ),
    CardField(
        "thumbnail",
        "data:image/png;base64,…",
        gettext_lazy("A small picture, given as data; remote ones are not loaded."),
        _text,
    ),
    CardField(
        "widget",
        '[{text: "Say hello"}]',
        gettext_lazy("Prompts that the card offers to try: text or messages, and example_title."),
        _widget,
    ),
    CardField(
        "inference", "{parameters: {temperature: 0.7}}", gettext_lazy("Settings of the hub's own demo."), _inference
    ),
    CardField("extra_gated_heading", "Acme 7B asks first", gettext_lazy("Heading of the access form."), _text),
    CardField("extra_gated_description", "We answer in two days.", gettext_lazy("What happens then."), _text),
    CardField("extra_gated_prompt", "You agree to …", gettext_lazy("What people agree to, in Markdown."), _text),
    CardField(
        "extra_gated_fields",
        "{Company: text, I agree: checkbox}",
        gettext_lazy(
            "Questions of the access form: text, checkbox, date_picker, country, or type: select with options."
        ),
        _gate_fields,
    ),
    CardField("extra_gated_button_content", "Ask for access", gettext_lazy("The form's button."), _text),
    CardField(
        "extra_gated_eu_disallowed", "true", gettext_lazy("The licence gives nothing to people in the EU."), _truth
    ),
    CardField(
        "model-index",
        "[{name: m, results: […]}]",
        gettext_lazy("Published results: name, and results with task, dataset, metrics and source."),
        _model_index,
    ),
)
FIELD_NAMES: Final = frozenset(field.name for field in CARD_FIELDS)
