"""Where what a card says and what its weights say differ: both values, in words. What is left open is no difference.

The card's claims are its metadata, its name, and plain sentences of its text such as "a context length of 8k tokens".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from portal.catalog.models import ModelCard, Relation, Variant

# Names round, and count with or without the embeddings: Llama-3.2-1B has 1.24 billion.
_NAMED_RATIO: Final = 1.5
# A number in a sentence is rounded to two digits at least.
_STATED_RATIO: Final = 1.1
_LONGEST_TEXT: Final = 100_000
_SCALES: Final[Mapping[str, int]] = {
    "k": 10**3, "m": 10**6, "million": 10**6, "b": 10**9, "billion": 10**9, "t": 10**12, "trillion": 10**12,
}  # fmt: skip
_NAMED_SIZE: Final = re.compile(r"(?:^|[-_.])(\d{1,4}(?:\.\d{1,3})?)([MBT])(?=$|[-_.])", re.IGNORECASE)
_STATED_SIZE: Final = re.compile(
    r"\b(\d{1,4}(?:[.,]\d{1,6})?) ?(million|billion|trillion|M|B|T)[ -]parameters?\b", re.IGNORECASE
)
_STATED_CONTEXT: Final = re.compile(
    r"\bcontext (?:length|window|size)(?: of)?(?: up to)?[: ]{1,3}(\d{1,3}(?:[, ]\d{3})+|\d{1,8})(?: ?(k\b))?",
    re.IGNORECASE,
)
_STATED_VOCABULARY: Final = re.compile(
    r"\bvocab(?:ulary)?(?: size)?(?: of| has)?[: ]{1,3}(\d{1,3}(?:[, ]\d{3})+|\d{4,7}|\d{1,4}(?= ?k\b))( ?k\b)?"
    # Neither a part of a number, nor one that other words count.
    r"(?![.,]?\d| ?(?:million|mio\b|m\b|times\b|languages\b))",
    re.IGNORECASE,
)
_STATED_DTYPE: Final = re.compile(
    r"\b(?:weights|tensors|parameters|checkpoints?) (?:(?:are|is|were|was) )?(?:stored|saved|released|published|kept)"
    r" (?:in|as) (bfloat16|bf16|float16|fp16|float32|fp32)\b",
    re.IGNORECASE,
)
_DTYPE_NAMES: Final[Mapping[str, str]] = {
    "BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64", "bf16": "bfloat16", "fp16": "float16",
    "fp32": "float32", "half": "float16",
}  # fmt: skip
# Of hubs' tags those that name an architecture.
_ARCHITECTURE_TAGS: Final = frozenset(
    """
    llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe gemma gemma2 gemma3 phi phi3 gpt2 gpt_neox gpt_oss opt bloom
    falcon mamba mpt olmo olmo2 stablelm starcoder2 deepseek_v2 deepseek_v3 cohere granite smollm3
    """.split()  # noqa: SIM905 - thirty names read better as words
)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing of which two sources say different values."""

    subject: str
    card: str
    weights: str


def disagreements(card: ModelCard, variant: Variant) -> list[Disagreement]:
    """What differs between the card's current text and a variant that is the card's own model."""
    revision = card.current_revision
    metadata = revision.metadata if revision and isinstance(revision.metadata, dict) else {}
    text = revision.text[:_LONGEST_TEXT] if revision else ""
    facts = variant.facts
    found = [*_within_the_weights(facts)]
    if variant.relation == Relation.ADAPTER:
        return [*found, *_adapters_base(card, metadata, variant)]
    found += _parameters(card, text, facts)
    found += _context(text, facts)
    found += _vocabulary(text, facts)
    found += _stored_as(text, facts)
    found += _architecture(metadata, facts)
    found += _license(metadata, facts)
    found += _base_model(metadata, facts)
    found += _results(card, metadata)
    return found


# --- One thing each


def _parameters(card: ModelCard, text: str, facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    counted = facts.get("parameters")
    if not isinstance(counted, int):
        return
    active = facts.get("active_parameters")
    truths = [counted, *([active] if isinstance(active, int) else [])]
    named = _NAMED_SIZE.search(card.slug)
    if named:
        claim = float(named[1]) * _SCALES[named[2].lower()]
        if not any(_close(claim, truth, _NAMED_RATIO) for truth in truths):
            yield Disagreement(_("Parameters, by the card's name"), named[0].strip("-_."), f"{counted:,}")
    # A text speaks of other models too; it disagrees where none of its numbers is this model's.
    stated = [(match[0], _stated(match)) for match in _STATED_SIZE.finditer(text)]
    if stated and not any(_close(claim, truth, _STATED_RATIO) for _words, claim in stated for truth in truths):
        yield Disagreement(_("Parameters, by the card's text"), stated[0][0], f"{counted:,}")


def _stated(match: re.Match[str]) -> float:
    return float(match[1].replace(",", ".")) * _SCALES[match[2].lower()]


def _close(claim: float, truth: int, ratio: float) -> bool:
    return truth > 0 and claim > 0 and 1 / ratio <= claim / truth <= ratio


def _context(text: str, facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    length = facts.get("context_length")
    if not isinstance(length, int):
        return
    stated = []
    for match in _STATED_CONTEXT.finditer(text):
        number = int(re.sub(r"[, ]", "", match[1]))
        # 8k is said for 8,000 and for 8,192.
        stated.append((match[0], {number * 1000, number * 1024} if match[2] else {number}))
    if stated and not any(length in meant for _words, meant in stated):
        yield Disagreement(_("Context length"), stated[0][0], _("%s tokens") % f"{length:,}")


def _vocabulary(text: str, facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    # Cards count with and without what pads the embeddings to a round number.
    truths = [facts.get(name) for name in ("vocabulary_size", "embedding_rows", "tokenizer_tokens")]
    known = [truth for truth in truths if isinstance(truth, int)]
    stated = [
        (match[0], int(re.sub(r"[, ]", "", match[1])) * (1000 if match[2] else 1))
        for match in _STATED_VOCABULARY.finditer(text)
    ]
    if known and stated and not any(_close(claim, truth, _STATED_RATIO) for _words, claim in stated for truth in known):
        yield Disagreement(_("Vocabulary"), stated[0][0], _("%s tokens") % f"{known[0]:,}")


def _stored_as(text: str, facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What the text says of the stored weights. A file that they were unpacked from is stored otherwise."""
    dtypes = facts.get("dtypes")
    if not isinstance(dtypes, dict) or not dtypes or facts.get("quantisation") or facts.get("origin_types"):
        return
    truths = {_DTYPE_NAMES.get(name, name) for name in dtypes}
    stated = [(match[0], match[1].lower()) for match in _STATED_DTYPE.finditer(text)]
    if stated and not any(_DTYPE_NAMES.get(claim, claim) in truths for _words, claim in stated):
        yield Disagreement(_("Number format"), stated[0][0], _("stored as %s") % max(dtypes, key=dtypes.__getitem__))


def _architecture(metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    kind = str(facts.get("model_type") or "")
    tags = metadata.get("tags")
    named = [tag for tag in tags if tag in _ARCHITECTURE_TAGS] if isinstance(tags, list) else []
    if kind and named and kind not in named:
        yield Disagreement(_("Architecture"), _("tag %s") % named[0], f"{kind} ({facts.get('architecture') or '?'})")


def _license(metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    stated, file = metadata.get("license"), facts.get("license_of_files")
    if isinstance(stated, str) and isinstance(file, str) and file and stated not in {file, "other"}:
        yield Disagreement(_("Licence"), stated, _("%s, by the licence among the files") % file)


def _base_model(metadata: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    stated, configured = _names(metadata.get("base_model")), facts.get("configured_base")
    if stated and isinstance(configured, str) and configured and not any(_same_model(n, configured) for n in stated):
        yield Disagreement(_("Base model"), ", ".join(stated), _("%s, by the configuration") % configured)


def _adapters_base(card: ModelCard, metadata: Mapping[str, Any], variant: Variant) -> Iterator[Disagreement]:
    stated, trained_on = _names(metadata.get("base_model")), variant.facts.get("trained_on")
    if not isinstance(trained_on, str) or not trained_on:
        return
    if variant.base is not None and not _same_model(variant.base.card.name, trained_on):
        yield Disagreement(_("Base it runs on"), variant.base.card.name, _("%s, by the adapter") % trained_on)
    # On its base's card, the card's own base is another matter.
    on_own_card = variant.base is None or variant.base.card_id != card.pk
    if on_own_card and stated and not any(_same_model(name, trained_on) for name in stated):
        yield Disagreement(_("Base model"), ", ".join(stated), _("%s, by the adapter") % trained_on)


def _results(card: ModelCard, metadata: Mapping[str, Any]) -> Iterator[Disagreement]:
    index = metadata.get("model-index")
    names = [str(each.get("name")) for each in index if isinstance(each, dict)] if isinstance(index, list) else []
    if names and not any(_same_model(name, card.name) or _same_model(name, card.title) for name in names):
        yield Disagreement(_("Published results (model-index)"), _("of %s") % names[0], _("this is %s") % card.name)


def _within_the_weights(facts: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What the configuration and the tokenizer say, against the tensors themselves."""
    configured = str(facts.get("configured_dtype") or "").removeprefix("torch.")
    dtypes = facts.get("dtypes")
    if configured and isinstance(dtypes, dict) and dtypes and not facts.get("quantisation"):
        stored = max(dtypes, key=lambda name: dtypes[name])
        if _DTYPE_NAMES.get(configured, configured) != _DTYPE_NAMES.get(stored, stored):
            yield Disagreement(_("Number format"), _("%s, by config.json") % configured, _("stored as %s") % stored)
    rows, vocabulary = facts.get("embedding_rows"), facts.get("vocabulary_size")
    if isinstance(rows, int) and isinstance(vocabulary, int) and rows != vocabulary:
        yield Disagreement(
            _("Vocabulary"), _("%s tokens, by config.json") % f"{vocabulary:,}", _("%s embeddings") % f"{rows:,}"
        )
    tokens = facts.get("tokenizer_tokens")
    if isinstance(rows, int) and isinstance(tokens, int) and tokens > rows:
        yield Disagreement(_("Tokenizer"), _("%s tokens") % f"{tokens:,}", _("embeddings for %s alone") % f"{rows:,}")


def _names(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [name for name in values if isinstance(name, str) and name]


def _same_model(first: str, second: str) -> bool:
    """Whether two names are one model's: owners may be left out, and folders end in the model's name."""
    one, other = (re.sub(r"[^a-z0-9]", "", name.rstrip("/").rpartition("/")[2].lower()) for name in (first, second))
    return one == other
