"""What an installation starts with, its model cards and questionnaires: made where missing, brought up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from portal.catalog.models import ModelCard, Variant
from portal.catalog.seed import SEED_CARDS, seed_cards
from portal.feedback.models import Questionnaire
from portal.feedback.seed import seed_questionnaires


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many there are of each kind now, and whether seeding created or changed one."""

    has_changed: bool
    counts: dict[str, int]

    def __str__(self) -> str:
        return ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in self.counts.items())


def seed() -> Seeded:
    """Seed everything that comes along, or nothing when something fails."""
    with transaction.atomic():
        before = _shipped()
        seed_cards()
        has_new_questionnaire = seed_questionnaires()
        return Seeded(
            has_changed=has_new_questionnaire or _shipped() != before,
            counts={
                "cards": ModelCard.objects.count(),
                "variants": Variant.objects.count(),
                "questionnaires": Questionnaire.objects.count(),
            },
        )


def _shipped() -> list[dict[str, Any]]:
    """The shipped cards and their variants, as they are."""
    rows: list[dict[str, Any]] = []
    for each in SEED_CARDS:
        cards = ModelCard.objects.filter(owner_name=each.owner_name, slug=each.slug)
        rows += map(dict, cards.values())
        rows += map(dict, Variant.objects.filter(card__in=cards).order_by("pk").values())
    return rows
