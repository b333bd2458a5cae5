"""Which judgements a reader wants: the same parameters for the API, the streams and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from portal.catalog.models import name_part
from portal.feedback.answer_quality import DOWN, HIGHEST_RATING, LOWEST_RATING, UP

MAX_ECHOED_CHARACTERS: Final = 80


class InvalidCriterion(ValueError):
    """A parameter is malformed or contradicts another. `parameter` names it, `limit` says what would be valid."""

    def __init__(self, parameter: str, limit: str) -> None:
        super().__init__(f"{parameter}: {limit}")
        self.parameter = parameter
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Selects live judgements; what is None does not restrict.

    card: "owner/name". variant: "owner/name:variant". rating, rating_min, rating_max: helpfulness, inclusive.
    since, until: bounds on the time of creation, inclusive and exclusive.
    """

    card: str | None = None
    variant: str | None = None
    rating: int | None = None
    rating_min: int | None = None
    rating_max: int | None = None
    thumb: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.rating is not None and (self.rating_min is not None or self.rating_max is not None):
            raise InvalidCriterion("rating", _("Use either rating, or rating_min and rating_max."))
        if self.rating_min is not None and self.rating_max is not None and self.rating_min > self.rating_max:
            raise InvalidCriterion("rating_min", _("Must not exceed rating_max."))
        if self.since is not None and self.until is not None and self.since > self.until:
            raise InvalidCriterion("since", _("Must not be later than until."))

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Read parameters as they stand in an address or on a command line. Raises InvalidCriterion."""
        values: dict[str, Any] = {}
        for name, text in texts.items():
            if name not in PARAMETERS:
                known = ", ".join(PARAMETERS)
                raise InvalidCriterion(
                    name[:MAX_ECHOED_CHARACTERS], _("There is no such filter. There are: %s.") % known
                )
            values[name] = _READERS[name](name, text)
        return cls(**values)


PARAMETERS: Final = tuple(each.name for each in fields(Criteria))


def _card(parameter: str, text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2 or not all(_is_name(part) for part in parts):
        raise InvalidCriterion(parameter, _("Must be a card's owner/name."))
    return text


def _variant(parameter: str, text: str) -> str:
    card, colon, slug = text.partition(":")
    if not colon or not _is_name(slug) or card.count("/") != 1 or not all(_is_name(part) for part in card.split("/")):
        raise InvalidCriterion(parameter, _("Must be a variant's owner/name:variant."))
    return text


def _is_name(text: str) -> bool:
    try:
        name_part(text)
    except ValidationError:
        return False
    return "\n" not in text


def _rating(parameter: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and LOWEST_RATING <= int(text) <= HIGHEST_RATING):
        limits = {"low": LOWEST_RATING, "high": HIGHEST_RATING}
        raise InvalidCriterion(parameter, _("Must be a whole number from %(low)d to %(high)d.") % limits)
    return int(text)


def _thumb(parameter: str, text: str) -> str:
    if text not in {UP, DOWN}:
        raise InvalidCriterion(parameter, _("Must be up or down."))
    return text


def _moment(parameter: str, text: str) -> datetime:
    try:
        day = parse_date(text)
        moment = datetime.combine(day, time(), UTC) if isinstance(day, date) else parse_datetime(text)
        if moment is not None and moment.tzinfo is not None:
            # Years 1 and 9999 leave the calendar when their offset is taken away.
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidCriterion(
        parameter,
        _(
            "Must be an ISO 8601 date, or date and time with an offset, such as 2026-01-31T18:30:00Z (in an address a "
            "plus sign is written %%2B)."
        )
        % (),
    )


_READERS: Final = {
    "card": _card,
    "variant": _variant,
    "rating": _rating,
    "rating_min": _rating,
    "rating_max": _rating,
    "thumb": _thumb,
    "since": _moment,
    "until": _moment,
}
