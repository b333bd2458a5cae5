"""A ranking as a form has it: a place for each choice, which says more than the order that is stored of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST_DIGITS: Final = 3
# A field for numbers sends less; what else is sent there is shown again, and kept in a draft, as far as this.
MAX_PLACE_CHARACTERS: Final = 12


class TypedRanking(list[list[str]]):
    """Groups from the best to the last, and the `places` that were typed, which the form shows again."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        """Equal places are ties; gaps between places mean nothing, and what is no place is none."""
        self.places = {
            key: place for key, text in typed.items() if (place := text.strip()[:MAX_PLACE_CHARACTERS]).isprintable()
        }
        groups: dict[int, list[str]] = {}
        for key, place in self.places.items():
            if place.isascii() and place.isdigit() and len(place) <= MOST_DIGITS:
                groups.setdefault(int(place), []).append(key)
        super().__init__(groups[place] for place in sorted(groups))


def typed_places(answers: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """The rankings among these answers in which something was typed, as a draft keeps them."""
    rankings = {key: each.places for key, each in answers.items() if isinstance(each, TypedRanking)}
    return {key: places for key, places in rankings.items() if any(places.values())}


def places_of(value: Any) -> Mapping[str, str]:
    """The place of each choice as the form shows it: as it was typed, else as the order that is stored has it."""
    if isinstance(value, TypedRanking):
        return value.places
    if isinstance(value, dict):
        return {key: str(place) for key, place in value.items()}
    if not isinstance(value, list) or not all(isinstance(group, list) for group in value):
        return {}
    return {key: str(place) for place, group in enumerate(value, start=1) for key in group if isinstance(key, str)}
