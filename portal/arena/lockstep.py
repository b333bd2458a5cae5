"""How two blind answers are shown: neither ahead of the other, so that speed gives no name away. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self

# What the longer answer's rest is shown with at least, in characters a second.
SLOWEST_PACE: Final = 80.0
SIDES: Final = ("a", "b")
_MARK: Final = re.compile(r"(\d{1,9})\.(\d{1,9})-(\d{1,9})\.(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a viewer has seen both sides: (attempt, characters) of each. It is the events' id."""

    sides: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def __str__(self) -> str:
        return "-".join(f"{attempt}.{characters}" for attempt, characters in self.sides)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when `text` is not an id of ours."""
        match = _MARK.fullmatch(text)
        if match is None:
            raise ValueError("Last-Event-ID must be <attempt>.<characters>-<attempt>.<characters>.")
        a, a_seen, b, b_seen = map(int, match.groups())
        return cls(((a, a_seen), (b, b_seen)))


@dataclass(slots=True)
class _Side:
    attempt: int = 0
    text: str = ""
    shown: int = 0
    has_ended: bool = False
    end_was_told: bool = False
    # The viewer has text of an attempt that was lost.
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What to tell of one side: to begin anew, more text, or that it is whole."""

    side: str
    kind: str
    text: str = ""


@dataclass(slots=True)
class Lockstep:
    """Takes both answers as they come and gives out what may be shown.

    While both are written, as many characters of each as the shorter has. The rest of the longer goes on at the pace
    that was shown until then, however much of it has piled up.
    """

    seen: Mark = field(default_factory=Mark)
    _sides: tuple[_Side, _Side] = field(default_factory=lambda: (_Side(), _Side()))
    _first_at: float | None = None
    _parted_at: float | None = None
    _parted_from: int = 0
    _pace: float = SLOWEST_PACE
    _is_flushed: bool = False

    def __post_init__(self) -> None:
        for side, (attempt, characters) in zip(self._sides, self.seen.sides, strict=True):
            side.attempt, side.shown = attempt, characters

    @property
    def mark(self) -> Mark:
        one, other = self._sides
        return Mark(((one.attempt, one.shown), (other.attempt, other.shown)))

    @property
    def is_over(self) -> bool:
        return all(side.end_was_told for side in self._sides)

    @property
    def is_reading(self) -> bool:
        """Both runs are under way and nothing is shown yet: of one alone nothing is said."""
        return all(side.attempt and not side.shown for side in self._sides)

    @property
    def has_more(self) -> bool:
        """Something waits for its time."""
        return any(side.shown < len(side.text) for side in self._sides)

    def begin(self, side: int, attempt: int) -> None:
        """Text of this attempt follows; that of an earlier one is void."""
        one = self._sides[side]
        if attempt > one.attempt:
            one.is_stale = one.is_stale or one.shown > 0
            one.attempt, one.text, one.shown = attempt, "", 0

    def restart(self, side: int) -> None:
        """What the viewer has of this side is void, whatever the attempt."""
        one = self._sides[side]
        one.is_stale = one.is_stale or one.shown > 0
        one.text, one.shown = "", 0

    def write(self, side: int, text: str) -> None:
        self._sides[side].text += text

    def end(self, side: int, *, flush: bool = False) -> None:
        """This side is whole. `flush` shows all there is: the person stopped it and waits for nothing."""
        self._sides[side].has_ended = True
        self._is_flushed = self._is_flushed or flush

    def release(self, now: float) -> list[Piece]:
        """What may be shown at `now` and was not yet."""
        pieces = [Piece(SIDES[index], "reset") for index, side in enumerate(self._sides) if side.is_stale]
        for side in self._sides:
            side.is_stale = False
        one, other = self._sides
        if self._first_at is None and one.text and other.text:
            self._first_at = now
        limits = self._limit(one, other, now), self._limit(other, one, now)
        for index, (side, limit) in enumerate(zip(self._sides, limits, strict=True)):
            if limit > side.shown:
                pieces.append(Piece(SIDES[index], "text", side.text[side.shown : limit]))
                side.shown = limit
            if side.has_ended and min(side.shown, limit) >= len(side.text) and not side.end_was_told:
                side.end_was_told = True
                pieces.append(Piece(SIDES[index], "end"))
        return pieces

    def _limit(self, side: _Side, other: _Side, now: float) -> int:
        if self._is_flushed:
            return len(side.text)
        together = min(len(side.text), len(other.text))
        if not other.has_ended or len(side.text) <= len(other.text):
            return together
        if self._parted_at is None:
            # Who resumes has seen some of the rest.
            self._parted_at, self._parted_from = now, max(together, side.shown)
            elapsed_s = now - self._first_at if self._first_at is not None else 0.0
            self._pace = max(SLOWEST_PACE, together / elapsed_s) if elapsed_s > 0 else SLOWEST_PACE
        return min(len(side.text), self._parted_from + int(self._pace * (now - self._parted_at)))
