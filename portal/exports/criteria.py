"""Which records a reader wants: the same parameters for the API, the exports and the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from portal.catalog.models import name_part
from portal.feedback.answer_quality import DOWN, HIGHEST_RATING, LOWEST_RATING, UP
from portal.feedback.models import ReviewState
from portal.reviews.services.verdicts import LABELS

MAX_ECHOED_CHARACTERS: Final = 80
MAX_LICENCE_CHARACTERS: Final = 60
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")
_SHARE: Final = re.compile(r"(?:0(?:\.[0-9]{1,4})?|1(?:\.0{1,4})?)")
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


class InvalidCriterion(ValueError):
    """A parameter is malformed or contradicts another. `parameter` names it, `limit` says what would be valid."""

    def __init__(self, parameter: str, limit: str) -> None:
        super().__init__(f"{parameter}: {limit}")
        self.parameter = parameter
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Selects live records; what is None does not restrict.

    card: "owner/name". variant: "owner/name:variant". rating, rating_min, rating_max: helpfulness, inclusive.
    since, until: bounds on the time of creation, inclusive and exclusive. questionnaire, campaign: their names.
    language: ISO 639-1. review_state: any of these. label: one that a reviewer put on it. agreement_min: the least
    share, from 0 to 1, of the independent reviewers whose verdict became the outcome, where two and more judged.
    """

    card: str | None = None
    variant: str | None = None
    rating: int | None = None
    rating_min: int | None = None
    rating_max: int | None = None
    thumb: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    questionnaire: str | None = None
    campaign: str | None = None
    language: str | None = None
    licence: str | None = None
    review_state: tuple[str, ...] | None = None
    label: str | None = None
    agreement_min: float | None = None

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

    def given(self) -> frozenset[str]:
        """The names of the parameters that restrict."""
        return frozenset(name for name in PARAMETERS if getattr(self, name) is not None)

    def only(self, parameters: Collection[str]) -> Self:
        """The same without what is not among `parameters`."""
        return replace(self, **{name: None for name in self.given() if name not in parameters})

    def as_texts(self) -> dict[str, str]:
        """What `from_texts` reads back to an equal value."""
        return {name: _text(getattr(self, name)) for name in PARAMETERS if name in self.given()}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


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


def _slug(parameter: str, text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise InvalidCriterion(parameter, _("Must be a name of letters, digits, hyphens and underscores, at most 80."))
    return text


def _language(parameter: str, text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise InvalidCriterion(parameter, _("Must be a language code such as en or de."))
    return text


def _licence(parameter: str, text: str) -> str:
    if not 0 < len(text) <= MAX_LICENCE_CHARACTERS or not text.isprintable():
        limit = {"limit": MAX_LICENCE_CHARACTERS}
        raise InvalidCriterion(parameter, _("Must be a licence's name of 1 to %(limit)d characters.") % limit)
    return text


def _review_states(parameter: str, text: str) -> tuple[str, ...]:
    states = tuple(text.split(","))
    if unknown := [state for state in states if state not in ReviewState.values]:
        values = {"given": unknown[0][:MAX_ECHOED_CHARACTERS], "known": ", ".join(ReviewState.values)}
        raise InvalidCriterion(parameter, _("There is no state “%(given)s”. There are: %(known)s.") % values)
    return states


def _label(parameter: str, text: str) -> str:
    if text not in LABELS:
        values = {"given": text[:MAX_ECHOED_CHARACTERS], "known": ", ".join(LABELS)}
        raise InvalidCriterion(parameter, _("There is no label “%(given)s”. There are: %(known)s.") % values)
    return text


def _share(parameter: str, text: str) -> float:
    if not _SHARE.fullmatch(text):
        raise InvalidCriterion(parameter, _("Must be a number from 0 to 1, such as 0.75."))
    return float(text)


_READERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "card": _card,
    "variant": _variant,
    "rating": _rating,
    "rating_min": _rating,
    "rating_max": _rating,
    "thumb": _thumb,
    "since": _moment,
    "until": _moment,
    "questionnaire": _slug,
    "campaign": _slug,
    "language": _language,
    "licence": _licence,
    "review_state": _review_states,
    "label": _label,
    "agreement_min": _share,
}
