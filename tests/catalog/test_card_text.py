"""Cards from anybody: what model hubs read is read the same, the rest is refused by field and line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from huggingface_hub import ModelCard as HubCard
from huggingface_hub import RepoCard
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.catalog.card_text import MAX_BYTES, MAX_FRONT_MATTER_BYTES, parse_card
from portal.catalog.seed import SEED_CARDS
from tests.catalog.shelf import CARD_TEXT

SEED_TEXTS = Path(__file__).parents[2] / "portal" / "catalog" / "seed_cards"


def error_of(text: str | bytes) -> str:
    with pytest.raises(ValidationError) as caught:
        parse_card(text)
    assert list(caught.value.message_dict) == ["text"]
    (message,) = caught.value.message_dict["text"]
    return str(message)


def test_metadata_and_body_are_told_apart_and_unknown_fields_kept() -> None:
    card = parse_card(CARD_TEXT)
    assert card.text == CARD_TEXT
    assert card.metadata["license"] == "apache-2.0"
    assert card.metadata["x_unknown"] == {"kept": True}
    assert card.body.startswith("# Tiny model\n")


@pytest.mark.parametrize("text", ["", "# Only text\n", "no front matter\n---\nlater: 1\n---\n", "----\na: 1\n----\n"])
def test_a_card_may_have_no_front_matter(text: str) -> None:
    card = parse_card(text)
    assert (card.metadata, card.body) == ({}, text)


def test_an_empty_front_matter_is_one() -> None:
    assert (parse_card("---\n---\nx").metadata, parse_card("---\n---\nx").body) == ({}, "x")
    assert parse_card("---\n# only a comment\n---\nx").metadata == {}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_stay_as_they_were(line_end: str) -> None:
    text = line_end.join(["---", "license: mit", "---", "body", ""])
    card = parse_card(text.encode())
    assert (card.text, card.metadata, card.body) == (text, {"license": "mit"}, f"body{line_end}")


def test_values_become_what_json_can_hold() -> None:
    card = parse_card("---\nday: 2024-11-01\nat: 2024-11-01 10:00:00\non: yes\n1: one\nn: ~\nf: 1.5\n---\n")
    assert card.metadata == {
        "day": "2024-11-01",
        "at": "2024-11-01T10:00:00",
        "on": True,
        "1": "one",
        "n": None,
        "f": 1.5,
    }
    json.dumps(card.metadata)


REFUSED = {
    "an alias": ("---\na: &x [1]\nb: *x\n---\n", "Line 2: anchors (&) and aliases (*) are not allowed"),
    "an anchor alone": ("---\nok: 1\na: &x 1\n---\n", "Line 3: anchors (&)"),
    "a bomb": (
        "---\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)) + "---\n",
        "Line 2: anchors",
    ),
    "a list as front matter": ("---\n- a\n---\n", "Line 2: the front matter must be a mapping"),
    "text as front matter": ("---\nhello\n---\n", "Line 2: the front matter must be a mapping"),
    "a field given twice": (
        "---\nlicense: mit\ntags: []\nlicense: mit\n---\n",
        "Line 4: license: the field is given twice",
    ),
    "an inner field given twice": ("---\na:\n  b: 1\n  b: 2\n---\n", "Line 4: a.b: the field is given twice"),
    "a merge": ("---\n<<: {a: 1}\n---\n", "Line 2: merging fields by <<"),
    "broken YAML": ("---\na: 1\nb: [1,\n---\n", "Line 3: not valid YAML"),
    "a tab": ("---\n\ta: 1\n---\n", "Line 2: not valid YAML"),
    "an unknown kind of list": ("---\na: !!omap [a: 1]\n---\n", "Line 2: a: a value of type omap"),
    "a truth value as language": (
        "---\nlanguage:\n- en\n- no\n---\n",
        "Line 4: language[1]: must be text; put it in quotes",
    ),
    "tags that are no list": ("---\na: 1\ntags: {a: 1}\n---\n", "Line 3: tags: must be text or a list of texts"),
    "a task that is no text": ("---\npipeline_tag: [a]\n---\n", "Line 2: pipeline_tag: must be text"),
    "a reserved name": ("---\neval_results: 1\n---\n", "Line 2: eval_results: this name is reserved"),
    "a model-index that is no list": ("---\nmodel-index: x\n---\n", "Line 2: model-index: must be a list of models"),
    "a result without a value": (
        "---\nmodel-index: [{name: m, results: [{task: {type: t}, dataset: {type: d, name: n}, metrics: [1]}]}]\n---\n",
        "Line 2: model-index[0].results[0].metrics[0]: must have a type and a value",
    ),
    "no end": ("---\na: 1\n", "Line 1: the front matter opened by --- has no closing line"),
    "code": ("---\na: !!python/object/apply:os.system [id]\n---\n", "Line 2: "),
    "binary": ("---\na:\n- b: !!binary aGk=\n---\n", "Line 3: a[0].b: a value of type binary cannot be kept"),
    "no number": ("---\na: .nan\n---\n", "Line 2: a: the number must be finite"),
    "a date that is none": ("---\na: 2024-13-45\n---\n", "Line 2: a: a value of type timestamp"),
    "a number too long": ("---\na: " + "1" * 5000 + "\n---\n", "Line 2: a: a value of type int"),
    "a field named by a list": ("---\n? [a]\n: b\n---\n", "Line 2: a field's name must be text"),
    "a NUL by escape": ('---\na: "\\0"\n---\n', "Line 2: a: the character U+0000 is not allowed"),
    "half a character by escape": ('---\na: "\\ud800"\n---\n', "Line 2: a: the character U+D800 is not allowed"),
    "a control character": ("---\na: 1\n---\nfine\nnot \x00 fine", "Line 5: the control character U+0000"),
    "a lone surrogate": ("a\n\ud800", "Line 2: the control character U+D800"),
    "a C1 control character": ("---\na: 1\nb: \x86\n---\n", "Line 3: the character U+0086"),
    "a byte-order mark": ("\ufeff---\na: 1\n---\n", "byte-order mark"),
    "depth": ("---\na: " + "[" * 50_000 + "\n---\n", "Line 2: values are nested more than 20 deep"),
    "block depth": ("---\n" + "".join("  " * n + f"a{n}:\n" for n in range(40)) + "---\n", "nested more than 20 deep"),
    "much front matter": ("---\n" + "a" * MAX_FRONT_MATTER_BYTES + ": 1\n---\n", "longer than 200,000 bytes"),
    "too many bytes": ("ü" * (MAX_BYTES // 2 + 1), "The card has 1,000,002 bytes; at most 1,000,000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    text, message = REFUSED[name]
    assert message in error_of(text)


def test_bytes_that_are_not_utf8_are_named_by_line() -> None:
    assert error_of(b"---\nlicense: \xe4\n---\n") == "Line 2: byte 0xe4 is not UTF-8. Save the card as UTF-8."
    assert "Line 1" in error_of("---\n".encode("utf-16"))


def test_hostile_front_matter_takes_bounded_time() -> None:
    started = time.process_time()
    for piece in ("a: ", "? ", "- ", "{", "[a,", "!", "'", "a\n", " ", "#"):
        try:
            parse_card("---\n" + piece * (150_000 // len(piece)) + "\n---\n")
        except ValidationError:
            continue
    assert time.process_time() - started < 30


yaml_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1, max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["x_field", "x_other", "extra", "training", "carbon"]), yaml_values, min_size=1),
    st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters="\n"), max_size=80),
)
@settings(max_examples=150, deadline=None)
def test_it_reads_what_the_hub_library_reads(metadata: dict[str, Any], body: str) -> None:
    text = f"---\n{yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False)}---\n{body}"
    ours, theirs = parse_card(text), RepoCard(text)
    assert ours.text == text
    assert ours.body == theirs.text
    assert ours.metadata == yaml.safe_load(yaml.safe_dump(metadata, allow_unicode=True)) == metadata


shapes = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "results", "task", "dataset", "metrics", "type", "value", "source", "url"]), inner
        )
    ),
    max_leaves=12,
)
results = st.fixed_dictionaries(
    {
        "task": st.just({"type": "t"}) | shapes,
        "dataset": st.just({"type": "t", "name": "n"}) | shapes,
        "metrics": st.lists(st.just({"type": "m", "value": 1}) | shapes, max_size=2) | shapes,
    },
    optional={"source": st.just({"name": "n", "url": "https://a.example"}) | shapes},
)
indexes = st.lists(
    st.fixed_dictionaries({"name": st.just("n") | shapes, "results": st.lists(results, max_size=2)}) | shapes,
    max_size=2,
)


@given(
    st.dictionaries(
        st.sampled_from(["license", "language", "tags", "datasets", "base_model", "pipeline_tag", "metrics", "self"]),
        shapes | st.text("abc ", max_size=3) | st.lists(st.text("abc", max_size=3), max_size=3),
        max_size=4,
    ),
    st.none() | indexes | shapes,
)
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_loads_in_the_hub_library(metadata: dict[str, Any], index: Any) -> None:
    whole = metadata | ({"model-index": index} if index is not None else {})
    text = f"---\n{yaml.dump(whole, Dumper=PlainDumper)}---\n# Body\n"
    try:
        ours = parse_card(text)
    except ValidationError as error:
        assert list(error.message_dict) == ["text"]  # noqa: PT017
        return
    assert HubCard(text).text == ours.body


class PlainDumper(yaml.SafeDumper):
    """Writes every value out, as the reader asks for."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@given(st.text(st.characters(), max_size=200) | st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_anything_is_a_card_or_one_error(anything: str | bytes) -> None:
    framed = b"---\n" + anything + b"\n---\n" if isinstance(anything, bytes) else f"---\n{anything}\n---\n"
    for text in (anything, framed):
        try:
            json.dumps(parse_card(text).metadata, allow_nan=False).encode()
        except ValidationError as error:
            assert list(error.message_dict) == ["text"]  # noqa: PT017


@pytest.mark.parametrize("seed", SEED_CARDS, ids=lambda seed: seed.slug)
def test_the_shipped_cards_load_in_the_hub_library(seed: Any) -> None:
    raw = (SEED_TEXTS / seed.text_file).read_bytes()
    card = parse_card(raw)
    assert card.text.encode() == raw
    hub = HubCard(raw.decode())
    assert hub.text == card.body
    assert hub.data.license == card.metadata["license"] == "apache-2.0"
    assert hub.data.base_model == "HuggingFaceTB/SmolLM2-135M"
    assert hub.data.pipeline_tag == "text-generation"
    assert hub.data.eval_results is not None
    assert {(each.dataset_type, each.metric_value) for each in hub.data.eval_results} >= {
        ("ifeval", 29.9),
        ("gsm8k", 1.4),
    }
    assert all(each.source_url for each in hub.data.eval_results)


def test_the_numbers_in_the_shipped_table_are_those_of_its_model_index() -> None:
    card = parse_card((SEED_TEXTS / "smollm2-135m-instruct.md").read_bytes())
    (model,) = card.metadata["model-index"]
    for result in model["results"]:
        (metric,) = result["metrics"]
        row = next(
            line for line in card.body.splitlines() if line.startswith(f"| {result['dataset']['name'].split(' (')[0]}")
        )
        assert f"| {metric['value']} |" in row
