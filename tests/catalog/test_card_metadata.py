"""Front matter of any shape becomes what pages can show, and only web addresses become links."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.catalog.card_metadata import Example, PublishedResult, Reference, describe_listed, describe_metadata

FIELDS = [
    *("license", "license_name", "license_link", "language", "tags", "pipeline_tag", "library_name", "base_model"),
    *("base_model_relation", "datasets", "widget", "model-index"),
]


def test_one_text_and_a_list_of_texts_mean_the_same() -> None:
    one, many = (
        describe_metadata({"language": "en", "base_model": "a/b"}),
        describe_metadata({"language": ["en"], "base_model": ["a/b"]}),
    )
    assert one == many
    assert one.languages == ("English",)
    assert one.base_models == (Reference("a/b", "https://huggingface.co/a/b"),)


def test_a_name_that_is_no_hub_id_is_no_link() -> None:
    metadata = describe_metadata(
        {"base_model": ["javascript:alert(1)", "a/b/../c", "a b", "../x"], "datasets": ["o/d"]}
    )
    assert [reference.url for reference in metadata.base_models] == ["", "", "", ""]
    assert metadata.datasets == (Reference("o/d", "https://huggingface.co/datasets/o/d"),)


def test_a_licence_of_ones_own_has_its_name_and_link() -> None:
    own = {"license": "other", "license_name": "acme", "license_link": "https://acme.example/licence"}
    assert describe_metadata(own).license == Reference("acme", "https://acme.example/licence")
    assert describe_metadata({"license": "mit", "license_link": "javascript:alert(1)"}).license == Reference("mit", "")
    assert describe_metadata({}).license is None


def test_an_unknown_language_code_is_shown_as_it_is() -> None:
    assert describe_metadata({"language": ["xx-klingon", "de"]}).languages == ("xx-klingon", "German")


def test_examples_come_from_texts_and_from_conversations() -> None:
    widget = [
        {"text": " Hello "},
        {"example_title": "T", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
        {"text": 1},
        {"messages": "x"},
        "x",
        {"text": "long" * 1000},
    ]
    assert describe_metadata({"widget": widget}).examples == (Example("", "Hello"), Example("T", "u"))


def test_results_name_their_source() -> None:
    index = [
        {
            "results": [
                {
                    "dataset": {"type": "t", "name": "Set"},
                    "metrics": [{"type": "acc", "value": 0.5, "verified": True}, {"type": "f1", "value": True}],
                    "source": {"name": "Lab", "url": "https://lab.example"},
                }
            ]
        }
    ]
    assert describe_metadata({"model-index": index}).results == (
        PublishedResult("Set", "acc", "0.5", "Lab", "https://lab.example", verified=True),
    )


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "metrics", "value", "dataset", "messages", "role", "content", "text", "url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(FIELDS), shapes))
@settings(max_examples=300, deadline=None)
def test_no_shape_raises(metadata: dict[str, Any]) -> None:
    described, listed = describe_metadata(metadata), describe_listed(metadata)
    for field in fields(listed):
        assert getattr(listed, field.name) == getattr(described, field.name)
    references = [*described.base_models, *described.datasets, *([described.license] if described.license else [])]
    assert all(
        not reference.url or reference.url.startswith("https://") or reference.url.startswith("http://")
        for reference in references
    )
