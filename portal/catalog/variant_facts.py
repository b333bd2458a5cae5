"""The facts read from a variant's weights, in words and with units, in the order in which a reader asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.catalog.measured_facts import measured_rows
from portal.catalog.models import Variant

ATTENTION_KINDS: Final[Mapping[str, Promise]] = {
    "multi-head": gettext_lazy("multi-head"),
    "latent": gettext_lazy("latent"),
    "multi-query": gettext_lazy("multi-query"),
    "grouped-query": gettext_lazy("grouped-query"),
}

WAYS_OF_COMPUTING: Final[Mapping[str, Promise]] = {
    "fused": gettext_lazy("all requests in one pass, layers joined"),
    "packed": gettext_lazy("all requests in one pass"),
    "sequential": gettext_lazy("one request after the other, since the fast attention does not fit this architecture"),
    "paged": gettext_lazy("all requests in one pass, on an accelerator"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of a specification sheet."""

    label: str
    value: str


def short_count(count: int) -> str:
    """A number of parameters as people say it: 135M, 1.7B."""
    for size, unit in ((1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")):
        if count >= size:
            scaled = count / size
            return f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return str(count)


def size_text(size_bytes: int) -> str:
    """A size in decimal units, as disks and downloads count: 269 MB."""
    for size, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size_bytes >= size:
            scaled = size_bytes / size
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:.0f} {unit}"
    return ngettext("%(count)s byte", "%(count)s bytes", size_bytes) % {"count": size_bytes}


def share_text(part: int, whole: int) -> str:
    """A part of a whole: 78.9 %, or < 0.1 % for what would round to nothing."""
    if 0 < part * 1000 < whole:
        return "< 0.1 %"
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def key_facts(variant: Variant) -> list[Fact]:
    """The few that a reader compares models by."""
    facts = variant.facts
    rows = [
        (_("Parameters"), _number(facts, "parameters")),
        (_("Active per token"), _active(facts)),
        (_("Added parameters"), _number(facts, "added_parameters")),
        (_("Rank"), ", ".join(_shares(facts.get("ranks")))),
        (_("Changes"), _targets(facts)),
        (_("Context length"), _tokens(facts, "context_length")),
        (_("Vocabulary"), _tokens(facts, "vocabulary_size")),
        (_("Architecture"), str(facts.get("architecture") or "")),
        (_("Layers"), _number(facts, "layers")),
        (_("Attention"), _attention(facts)),
        (_("Window"), _window(facts)),
        (_("Stored as"), ", ".join(_shares(facts.get("dtypes")))),
        (_("Size of the weights"), size_text(size) if (size := _integer(facts, "weight_bytes")) else ""),
    ]
    return [Fact(label, value) for label, value in rows if value]


def all_facts(variant: Variant) -> list[Fact]:
    """Everything, for the variant's own section."""
    return [*specification(variant), *measured_facts(variant)]


def measured_facts(variant: Variant) -> list[Fact]:
    """Speed and quality, as measured on this installation; none where nothing was."""
    return [Fact(label, value) for label, value in measured_rows(variant) if value]


def specification(variant: Variant) -> list[Fact]:
    """What the files say, and how the engine computes with them."""
    facts = variant.facts
    origin = facts.get("origin") if isinstance(facts.get("origin"), dict) else {}
    tokenizer = [str(part) for part in (facts.get("tokenizer_class"), facts.get("tokenizer_model")) if part]
    rows = [
        (_("Model at the upstream"), str(facts.get("upstream_model") or "")),
        (_("Kind of server"), str(facts.get("server") or "")),
        (_("Hidden size"), _number(facts, "hidden_size")),
        (_("Inner size"), _number(facts, "intermediate_size")),
        (_("Embeddings"), _("input and output share one matrix") if facts.get("tied_embeddings") else ""),
        (_("Tensors"), _number(facts, "tensors")),
        (_("Tokenizer"), ", ".join(tokenizer)),
        (_("Tokens of the tokenizer"), _number(facts, "tokenizer_tokens")),
        (_("Trained on"), str(facts.get("trained_on") or "")),
        (_("Licence among the files"), str(facts.get("license_of_files") or "")),
        (_("Quantisation"), str(facts.get("quantisation") or "")),
        (_("Converted from"), str(origin.get("source", "")) if isinstance(origin, dict) else ""),
        (_("Stored there as"), ", ".join(_shares(facts.get("origin_types")))),
        (_("Computes in"), _computes_in(variant)),
        (_("Computed"), _way_of_computing(facts.get("engine"))),
    ]
    return key_facts(variant) + [Fact(label, value) for label, value in rows if value]


def _computes_in(variant: Variant) -> str:
    if variant.dtype in {"int8", "int4"}:
        return _("%(format)s, to which the stored weights are rounded while they load") % {"format": variant.dtype}
    return variant.dtype


def _way_of_computing(engine: Any) -> str:
    """The path that the engine chose when it loaded the weights, by trying it on tokens."""
    name = str(engine.get("forward") or "") if isinstance(engine, dict) else ""
    words = WAYS_OF_COMPUTING.get(name.partition(" ")[0].rstrip(","))
    return f"{words} ({name})" if words else name


def _integer(facts: Mapping[str, Any], key: str) -> int:
    value = facts.get(key)
    return value if isinstance(value, int) else 0


def _number(facts: Mapping[str, Any], key: str) -> str:
    value = _integer(facts, key)
    return f"{value:,}" if value else ""


def _tokens(facts: Mapping[str, Any], key: str) -> str:
    value = _number(facts, key)
    return _("%(count)s tokens") % {"count": value} if value else ""


def _attention(facts: Mapping[str, Any]) -> str:
    kind = ATTENTION_KINDS.get(str(facts.get("attention")))
    if kind is None:
        return ""
    return _("%(kind)s, %(heads)s query and %(pairs)s key/value heads, each %(size)s wide") % {
        "kind": kind,
        "heads": facts.get("attention_heads"),
        "pairs": facts.get("key_value_heads"),
        "size": facts.get("head_size") or "?",
    }


def _active(facts: Mapping[str, Any]) -> str:
    active = _number(facts, "active_parameters")
    if not active:
        return ""
    words = {"count": active, "taken": facts.get("experts_per_token"), "experts": facts.get("experts")}
    return _("%(count)s, with %(taken)s of %(experts)s experts") % words


def _window(facts: Mapping[str, Any]) -> str:
    layers = _number(facts, "windowed_layers")
    if not layers:
        return ""
    words = {"count": layers, "all": _number(facts, "layers"), "tokens": _number(facts, "sliding_window")}
    return _("%(count)s of %(all)s layers look back %(tokens)s tokens") % words


def _targets(facts: Mapping[str, Any]) -> str:
    targets = facts.get("targets")
    if not isinstance(targets, dict):
        return ""
    return ", ".join(f"{count} \N{MULTIPLICATION SIGN} {name}" for name, count in sorted(targets.items()))


def _shares(counts: Any) -> Iterator[str]:
    """Values per type as shares, so that a mixture shows: Q4_1 78.9 %, Q8_0 21.0 %."""
    if not isinstance(counts, dict):
        return
    total = sum(counts.values())
    # PostgreSQL's jsonb does not keep the order.
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield name if count == total else f"{name} {share_text(count, total)}"
