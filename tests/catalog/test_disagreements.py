"""Where card and weights disagree: each kind once, both values named; and the many ways in which they agree."""

from __future__ import annotations

from typing import Any

import pytest

from portal.catalog.disagreements import disagreements
from portal.catalog.models import CardRevision, ModelCard, Relation, Variant

FACTS = {
    "parameters": 134_515_008,
    "context_length": 8192,
    "model_type": "llama",
    "architecture": "LlamaForCausalLM",
    "dtypes": {"BF16": 134_515_008},
    "configured_dtype": "bfloat16",
    "embedding_rows": 49_152,
    "vocabulary_size": 49_152,
    "tokenizer_tokens": 49_152,
    "license_of_files": "apache-2.0",
    "configured_base": "HuggingFaceTB/SmolLM2-135M",
}


def found(
    text: str = "", *, slug: str = "SmolLM2-135M-Instruct", metadata: dict[str, Any] | None = None, **facts: Any
) -> list[tuple[str, str, str]]:
    revision = CardRevision(text=text, metadata=metadata or {})
    card = ModelCard(owner_name="HuggingFaceTB", slug=slug, title=slug, current_revision=revision)
    variant = Variant(card=card, slug="bf16", facts=FACTS | facts)
    return [(each.subject, each.card, each.weights) for each in disagreements(card, variant)]


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        ("", {}),
        ("It has 135M parameters and a context length of 8,192 tokens.", {"license": "apache-2.0"}),
        ("Unlike the 1.7 billion parameters of its sister, it has 0.1345B parameters.", {"tags": ["llama", "chat"]}),
        ("A context window of 8k.", {"base_model": "HuggingFaceTB/SmolLM2-135M", "license": "other"}),
        ("Context length: 8192", {"base_model": ["x/y", "smollm2-135m"], "tags": "llama"}),
        ("A vocabulary of 49,152 tokens, more than the vocab of 32k before.", {}),
        ("Vocabulary size: 49k. Its weights are stored in bfloat16; trained in float32.", {}),
        ("A vocabulary of 151.9k tokens. Vocabulary size: 128.256; vocabulary 2 times larger", {}),
        ("A vocabulary size of 0.13 million tokens. Or a vocabulary of 1 million. Vocabulary: 1000 languages.", {}),
        ("", {"model-index": [{"name": "SmolLM2 135M Instruct"}]}),
        ("", {"model-index": "odd", "tags": {"odd": 1}, "base_model": 3, "license": ["mit"]}),
    ],
)
def test_what_agrees_or_is_left_open_is_no_disagreement(text: str, metadata: dict[str, Any]) -> None:
    assert found(text, metadata=metadata) == []


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (("Parameters, by the card's name", "360M", "134,515,008"), {"slug": "SmolLM2-360M"}),
        (("Parameters, by the card's text", "360M parameters", "134,515,008"), {"text": "It has 360M parameters."}),
        (
            ("Context length", "context length of 2,048", "8,192 tokens"),
            {"text": "With a context length of 2,048 tokens."},
        ),
        (
            ("Vocabulary", "vocabulary of 128,256", "49,152 tokens"),
            {"text": "It has a vocabulary of 128,256 tokens."},
        ),
        (
            ("Number format", "weights are stored in fp16", "stored as BF16"),
            {"text": "The weights are stored in fp16."},
        ),
        (
            ("Architecture", "tag gpt2", "llama (LlamaForCausalLM)"),
            {"metadata": {"tags": ["gpt2", "chat"]}},
        ),
        (("Licence", "mit", "apache-2.0, by the licence among the files"), {"metadata": {"license": "mit"}}),
        (
            ("Base model", "acme/other", "HuggingFaceTB/SmolLM2-135M, by the configuration"),
            {"metadata": {"base_model": "acme/other"}},
        ),
        (
            ("Published results (model-index)", "of Other", "this is HuggingFaceTB/SmolLM2-135M-Instruct"),
            {"metadata": {"model-index": [{"name": "Other"}]}},
        ),
        (("Number format", "float32, by config.json", "stored as BF16"), {"configured_dtype": "torch.float32"}),
        (("Vocabulary", "49,152 tokens, by config.json", "49,280 embeddings"), {"embedding_rows": 49_280}),
        (("Tokenizer", "49,160 tokens", "embeddings for 49,152 alone"), {"tokenizer_tokens": 49_160}),
    ],
)
def test_each_disagreement_names_both_values(expected: tuple[str, str, str], arguments: dict[str, Any]) -> None:
    assert found(**arguments) == [expected]


def test_a_mixtures_name_may_count_all_parameters_or_those_of_one_token() -> None:
    facts = {"parameters": 30_500_000_000, "active_parameters": 3_300_000_000}
    assert found(slug="Qwen3-30B-A3B", **facts) == []
    assert found(slug="Mixture-3B", **facts) == []
    assert len(found(slug="Mixture-7B", **facts)) == 1


def test_an_adapter_that_runs_on_another_base_is_said() -> None:
    base = Variant(pk=1, card=ModelCard(pk=1, owner_name="acme", slug="other"), slug="bf16")
    card = ModelCard(
        pk=2, owner_name="acme", slug="pirate", current_revision=CardRevision(metadata={"base_model": "x/z"})
    )
    variant = Variant(card=card, base=base, relation=Relation.ADAPTER, facts={"trained_on": "acme/tiny"})
    assert [(each.subject, each.card, each.weights) for each in disagreements(card, variant)] == [
        ("Base it runs on", "acme/other", "acme/tiny, by the adapter"),
        ("Base model", "x/z", "acme/tiny, by the adapter"),
    ]
