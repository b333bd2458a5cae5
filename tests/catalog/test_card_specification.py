"""Every field of the card specification: valid ones survive the hub library and us, others are named by their line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from huggingface_hub import ModelCard as HubCard
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.catalog.card_advice import card_advice
from portal.catalog.card_fields import CARD_FIELDS, GATE_FIELD_KINDS, RELATIONS
from portal.catalog.card_metadata import Emissions, describe_metadata, thumbnail_bytes
from portal.catalog.card_text import parse_card

words = st.text(st.characters(categories=["L", "N"], include_characters=" -."), min_size=1, max_size=12).filter(
    str.strip
)
ids = st.from_regex(r"\A[a-z]{1,6}/[a-z0-9]{1,6}\Z")
addresses = st.from_regex(r"\Ahttps://[a-z]{1,8}\.example/[a-z]{0,6}\Z")
one_or_many = words | st.lists(words, min_size=1, max_size=3, unique=True)
amounts = st.integers(0, 10**6) | st.floats(0, 1e6, allow_nan=False)
metric = st.fixed_dictionaries(
    {"type": words, "value": amounts | words}, optional={"name": words, "verified": st.booleans()}
)
result = st.fixed_dictionaries(
    {
        "task": st.fixed_dictionaries({"type": words}, optional={"name": words}),
        "dataset": st.fixed_dictionaries(
            {"type": words, "name": words}, optional={"config": words, "split": words, "revision": words}
        ),
        # The library gathers the metrics of one task, dataset and source; with one each nothing has to be gathered.
        "metrics": st.lists(metric, min_size=1, max_size=1),
    },
    optional={"source": st.fixed_dictionaries({"url": addresses}, optional={"name": words})},
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "license": words,
    "license_name": words,
    "license_link": addresses,
    "language": one_or_many,
    "tags": st.lists(words, min_size=1, max_size=3, unique=True),
    "pipeline_tag": words,
    "library_name": words,
    "pretty_name": words,
    "datasets": one_or_many,
    "metrics": st.lists(words, min_size=1, max_size=3),
    "base_model": ids | st.lists(ids, min_size=1, max_size=3),
    "base_model_relation": st.sampled_from(RELATIONS),
    "new_version": ids,
    "co2_eq_emissions": amounts
    | st.fixed_dictionaries(
        {"emissions": amounts},
        optional={
            "source": words,
            "training_type": words,
            "geographical_location": words,
            "hardware_used": words,
        },
    ),
    "thumbnail": addresses | st.just("data:image/png;base64,iVBORw0KGgo="),
    "widget": st.lists(
        st.fixed_dictionaries({"text": words}, optional={"example_title": words})
        | st.fixed_dictionaries(
            {"messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": words}), min_size=1)}
        ),
        max_size=2,
    ),
    "inference": st.booleans() | st.just({"parameters": {"temperature": 0.7}}),
    "extra_gated_heading": words,
    "extra_gated_description": words,
    "extra_gated_prompt": words,
    "extra_gated_fields": st.dictionaries(
        words,
        st.sampled_from([kind for kind in GATE_FIELD_KINDS if kind != "select"])
        | st.fixed_dictionaries(
            {
                "type": st.just("select"),
                "options": st.lists(words | st.fixed_dictionaries({"label": words, "value": words}), min_size=1),
            }
        ),
        min_size=1,
        max_size=3,
    ),
    "extra_gated_button_content": words,
    "extra_gated_eu_disallowed": st.booleans(),
    "model-index": st.lists(
        st.fixed_dictionaries({"name": words, "results": st.lists(result, min_size=1, max_size=2)}),
        min_size=1,
        max_size=1,
    ),
}


def test_every_field_of_the_specification_is_generated() -> None:
    assert set(VALUES) == {field.name for field in CARD_FIELDS}


class PlainDumper(yaml.SafeDumper):
    """Writes every value out, as the reader asks for."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(metadata: dict[str, Any], body: str = "# Body\n") -> str:
    return f"---\n{yaml.dump(metadata, Dumper=PlainDumper, allow_unicode=True, sort_keys=False)}---\n{body}"


@given(
    st.fixed_dictionaries({}, optional=VALUES),
    st.dictionaries(st.sampled_from(["x_note", "training", "y"]), words | st.lists(words), max_size=2),
)
@settings(max_examples=120, deadline=None)
def test_a_whole_card_goes_through_the_hub_library_and_comes_back(
    said: dict[str, Any], unknown: dict[str, Any]
) -> None:
    metadata = said | unknown
    ours = parse_card(written(metadata))
    assert ours.metadata == metadata
    hub = HubCard(ours.text)
    again = parse_card(str(hub))
    # The library keeps every field; of model-index it rewrites the grouping, so that one is compared by its results.
    assert {name: value for name, value in again.metadata.items() if name != "model-index"} == {
        name: value for name, value in metadata.items() if name != "model-index"
    }
    before, after = describe_metadata(ours.metadata).results, describe_metadata(again.metadata).results
    assert sorted(set(map(repr, before))) == sorted(set(map(repr, after)))
    assert HubCard(str(hub)).data.to_dict() == hub.data.to_dict()


REFUSED = {
    "base_model_relation: child": "Line 2: base_model_relation: must be text, one of finetune, adapter,",
    "new_version: [a/b]": "Line 2: new_version: must be text, a model's id such as owner/name.",
    "new_version: javascript:alert(1)": "Line 2: new_version: must be text, a model's id such as owner/name.",
    "co2_eq_emissions: much": "Line 2: co2_eq_emissions: must be grams of CO2-equivalent as a number, or a mapping",
    "co2_eq_emissions: -1": "Line 2: co2_eq_emissions: must be grams",
    "co2_eq_emissions:\n  source: x": "Line 2: co2_eq_emissions: must have emissions in grams, 0 or more.",
    "co2_eq_emissions:\n  emissions: 1\n  hardware_used: [A100]": "Line 4: co2_eq_emissions.hardware_used: must be",
    "thumbnail: [x]": "Line 2: thumbnail: must be text.",
    "widget: hello": "Line 2: widget: must be a list of examples, each with text or messages.",
    "widget:\n- text: a\n- hello": "Line 4: widget[1]: must be a mapping such as “text: Say hello”",
    "widget:\n- messages: hello": "Line 3: widget[0].messages: must be a list of messages",
    "inference: [1]": "Line 2: inference: must be true, false, or a mapping with parameters.",
    "extra_gated_eu_disallowed: maybe": "Line 2: extra_gated_eu_disallowed: must be true or false.",
    "extra_gated_fields: [Company]": "Line 2: extra_gated_fields: must be a mapping from each question to its kind",
    "extra_gated_fields:\n  Company: file": "Line 3: extra_gated_fields.Company: must be one of text, checkbox,",
    "extra_gated_fields:\n  Use:\n    type: select": "Line 3: extra_gated_fields.Use: must have options",
    "extra_gated_fields:\n  Use: {type: select, options: [1]}": "extra_gated_fields.Use.options[0]: must be text",
    "license: apache-2.0\nmetrics: {a: 1}": "Line 3: metrics: must be text or a list of texts.",
}


@pytest.mark.parametrize("front_matter", REFUSED)
def test_a_wrong_shape_is_named_by_field_and_line_with_what_is_valid(front_matter: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_card(f"---\n{front_matter}\n---\n")
    (message,) = caught.value.messages
    assert REFUSED[front_matter] in message


def test_emissions_are_read_as_a_number_or_a_mapping_and_shown_with_a_unit() -> None:
    assert describe_metadata({"co2_eq_emissions": 12.5}).emissions == Emissions(12.5)
    said = {
        "emissions": 2_500_000,
        "source": "CodeCarbon",
        "geographical_location": "France",
        "hardware_used": "64 H100",
    }
    emissions = describe_metadata({"co2_eq_emissions": said}).emissions
    assert emissions == Emissions(2_500_000, source="CodeCarbon", location="France", hardware="64 H100")
    assert (Emissions(12.5).amount, Emissions(2_500).amount, emissions.amount) == ("12.5 g", "2.5 kg", "2.5 t")
    assert describe_metadata({"co2_eq_emissions": {"source": "x"}}).emissions is None


@pytest.mark.parametrize(
    "thumbnail",
    [
        "https://evil.example/pixel.png",
        "data:image/svg+xml;base64,PHN2Zy8+PHN2Zy8+",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/png;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",  # a script that says it is a picture
        "data:image/png;base64,====!!==",
        "data:image/png;base64," + "A" * 150_000,
    ],
)
def test_only_a_small_picture_of_its_own_is_a_thumbnail(thumbnail: str) -> None:
    assert thumbnail_bytes(describe_metadata({"thumbnail": thumbnail}).thumbnail) is None


def test_advice_names_what_is_valid_and_yet_helps_nobody() -> None:
    said = {
        "license": "my-licence",
        "language": ["english", "de"],
        "thumbnail": "https://a.example/x.png",
        "base_model_relation": "merge",
        "training": {"data": [{"detail": "no name"}], "weather": "fine"},
        "model-index": [
            {
                "name": "m",
                "results": [
                    {
                        "task": {"type": "t"},
                        "dataset": {"type": "d", "name": "n"},
                        "metrics": [{"type": "a", "value": 1}],
                    }
                ],
            }
        ],
    }
    assert [field for field, _message in card_advice(said)] == [
        *(
            "license",
            "language",
            "thumbnail",
            "base_model_relation",
            "model-index",
            "training.data[0]",
            "training.weather",
        )
    ]
    assert card_advice({"license": "other"})[0][0] == "license_name"
    assert card_advice({"license": "apache-2.0", "language": ["en", "pt-BR"], "base_model": "a/b"}) == []


@given(
    st.dictionaries(
        st.sampled_from([*VALUES, "training"]), st.none() | st.integers() | words | st.lists(words), max_size=6
    )
)
@settings(max_examples=100, deadline=None)
def test_advice_never_raises(metadata: dict[str, Any]) -> None:
    assert all(isinstance(message, str) for _field, message in card_advice(metadata))
