"""Prompts to try: what cards offer and what maintainers collected, each with what others said of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from portal.catalog.models import Variant
from portal.playground.models import PromptCollection
from portal.playground.queries import example_prompts

# More than these fit no page, and a prompt longer than an address is copied, not linked.
MAX_LINKED_CHARACTERS: Final = 4_000


@dataclass(frozen=True, slots=True)
class PromptRating:
    """Of `n` thumbs on answers to a prompt, `up` were up; `low` to `high` is the 95 % interval of the share."""

    n: int
    up: int
    low: float
    high: float

    @property
    def words(self) -> str:
        """`3 of 4 good · 30 to 95 %`."""
        return _("%(up)d of %(n)d good · %(low).0f to %(high).0f %%") % {
            "up": self.up, "n": self.n, "low": 100 * self.low, "high": 100 * self.high,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownPrompt:
    title: str
    prompt: str
    system_prompt: str
    url: str
    rating: PromptRating | None


@dataclass(frozen=True, slots=True)
class ShownCollection:
    """A collection, or a card's own examples."""

    title: str
    description: str
    prompts: tuple[ShownPrompt, ...]


_Source = tuple[str, str, list[tuple[str, str, str, str]]]


def shown_collections(variants: Sequence[Variant]) -> list[ShownCollection]:
    """The published collections, then the examples of each card that runs here; ratings in one query for all."""
    sources: list[_Source] = []
    for collection in PromptCollection.objects.filter(is_published=True).prefetch_related("prompts"):
        prompts = [(each.title, each.prompt, each.system_prompt, "") for each in collection.prompts.all()]
        sources.append((collection.title, collection.description, prompts))
    first_variants = {each.card_id: each for each in reversed(variants)}
    for variant in reversed(first_variants.values()):
        examples = [(each.title, each.prompt, "", variant.model_id) for each in example_prompts(variant)]
        sources.append((variant.card.title, "", examples))
    ratings = _read_ratings([prompt for _, _, prompts in sources for _, prompt, _, _ in prompts])
    return [
        ShownCollection(
            title,
            description,
            tuple(
                ShownPrompt(name or prompt, prompt, system, _try_url(prompt, system, model), ratings.get(prompt))
                for name, prompt, system, model in prompts
            ),
        )
        for title, description, prompts in sources
        if prompts
    ]


def _read_ratings(prompts: list[str]) -> dict[str, PromptRating]:
    # Judgements belong to an app above this one, which settings name.
    read: Callable[[list[str]], dict[str, PromptRating]] = import_string(settings.PROMPT_RATINGS)
    return read(prompts) if prompts else {}


def _try_url(prompt: str, system_prompt: str, model_id: str) -> str:
    """Where the playground has this prompt in its field."""
    asked = {"variant": model_id, "prompt": prompt[:MAX_LINKED_CHARACTERS], "system_prompt": system_prompt}
    return f"{reverse('playground:new')}?{urlencode({name: value for name, value in asked.items() if value})}"
