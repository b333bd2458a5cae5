"""A card's text with what this installation measured written into its `model-index`, for the hub's own tools. Pure."""

from __future__ import annotations

from typing import Any, Final

import yaml
from django.utils.translation import gettext as _

from portal.catalog.card_metadata import describe_metadata
from portal.catalog.card_text import parse_card
from portal.evidence.intervals import Mean, Share
from portal.evidence.queries import CardEvidence

RATINGS_TYPE: Final = "steelyard-ratings"
ARENA_TYPE: Final = "steelyard-arena"


def card_with_evidence(text: str, name: str, evidence: CardEvidence, *, site: str, address: str) -> str:
    """The card with one result more for each number; the text below the metadata stays byte for byte.

    `name` names the model where its model-index has no name yet; `address` is where the numbers are explained.
    """
    parsed = parse_card(text)
    metadata = dict(parsed.metadata)
    task = describe_metadata(metadata).task or "text-generation"
    results = [
        {**result, "task": {"type": task}, "source": {"name": f"Steelyard, {site}", "url": address}}
        for result in _results(evidence, site)
    ]
    if not results:
        return text
    index = [dict(model) for model in metadata.get("model-index") or []] or [{"name": name, "results": []}]
    index[0] = {**index[0], "results": [*index[0]["results"], *results]}
    metadata["model-index"] = index
    dumped = yaml.dump(metadata, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False, width=100)
    return f"---\n{dumped}---\n{parsed.body}"


class _PlainDumper(yaml.SafeDumper):
    """Writes every value out: cards hold no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _results(evidence: CardEvidence, site: str) -> list[dict[str, Any]]:
    dataset = {"type": RATINGS_TYPE, "name": _("Judgements of answers on %(site)s") % {"site": site}}
    ratings = [_mean_metric(axis.key, axis.label, axis.smallest, axis.largest, axis.mean) for axis in evidence.axes]
    shares = [_share_metric(evidence.thumbs)] if evidence.thumbs.n else []
    results = [{"dataset": dataset, "metrics": [metric]} for metric in [*shares, *ratings]]
    for place in evidence.arena:
        figures = place.row.plain
        metric = {
            "type": "elo",
            "name": _("Strength in blind comparisons of %(name)s") % {"name": place.row.name},
            "value": figures["elo"],
            "args": {
                "n": place.row.figures["n"],
                "low": figures["lower"],
                "high": figures["upper"],
                "confidence": 0.95,
            },
        }
        pool = {"type": ARENA_TYPE, "name": _("Arena on %(site)s: %(pool)s") % {"site": site, "pool": place.pool.title}}
        results.append({"dataset": pool, "metrics": [metric]})
    return results


def _share_metric(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {
        "type": "good_answer_share",
        "name": _("Answers called good"),
        "value": round(share.hits / share.n, 4),
        "args": {"n": share.n, "low": round(low, 4), "high": round(high, 4), "confidence": 0.95},
    }


def _mean_metric(key: str, label: str, smallest: int, largest: int, mean: Mean) -> dict[str, Any]:
    interval = {} if mean.low is None or mean.high is None else {"low": round(mean.low, 3), "high": round(mean.high, 3)}
    return {
        "type": f"mean_{key}",
        "name": f"{label} ({smallest}–{largest})",  # noqa: RUF001 - a range
        "value": round(mean.value, 3),
        "args": {"n": mean.n, **interval, "confidence": 0.95},
    }
