"""What a judgement says to a trainer: the mapping of thumbs, corrections, votes and ties, as pure functions.

The mapping, which docs/exports.md states in words:

- thumb up: the answer is desirable (KTO true, SFT). Thumb down: undesirable (KTO false).
- corrected answer: the correction is desirable and the answer is not; together they are a pair (DPO, reward).
- two answers of one person to the same chat, one thumbed up and one down: a pair.
- vote for one side: a pair, and a KTO row for each side. A tie is two desirable rows, both bad two undesirable ones:
  never a pair, since nobody preferred either.
- a better token alone makes nothing: a text that breaks off there would teach to break off. Continued from it and
  compared with the answer before, it is as a vote on the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from portal.exports.records import GivenAnswer

GivenAnswers = Mapping[str, GivenAnswer]
"""Question key → answer."""


class Origin(StrEnum):
    """Which kind of judgement a training row comes from."""

    THUMB = "thumb"
    CORRECTION = "correction"
    SIBLINGS = "siblings"
    VOTE = "vote"
    TOKEN_CHOICE = "token_choice"  # noqa: S105


class Verdict(StrEnum):
    """A vote's outcome, by the names that the arena has."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that continues a chat, and what wrote it: a variant on its weights, or a person (both None)."""

    text: str
    model: str | None = None
    weights_sha256: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A completion and whether it is desirable."""

    completion: Completion
    is_desirable: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class Pair:
    """Of two completions of one chat, the one that was preferred."""

    chosen: Completion
    rejected: Completion
    origin: Origin


def labelled_by_answers(answer: Completion, answers: GivenAnswers) -> Iterator[Labelled]:
    """What one submission says of completions. A correction speaks for itself; the thumb beside it says no more."""
    correction = corrected(answer.text, answers)
    if correction is not None:
        yield Labelled(Completion(correction), True, Origin.CORRECTION)
        if answer.text:
            yield Labelled(answer, False, Origin.CORRECTION)
        return
    thumb = thumbed(answers)
    if thumb is not None and answer.text:
        yield Labelled(answer, thumb, Origin.THUMB)


def pairs_by_answers(answer: Completion, answers: GivenAnswers) -> Iterator[Pair]:
    """The pair that a correction makes."""
    correction = corrected(answer.text, answers)
    if correction is not None and answer.text:
        yield Pair(Completion(correction), answer, Origin.CORRECTION)


def pairs_of_siblings(up: Sequence[Completion], down: Sequence[Completion]) -> Iterator[Pair]:
    """Every desirable answer to a chat beside every undesirable one of the same person; equal texts make none."""
    for chosen in up:
        for rejected in down:
            if chosen.text and rejected.text and chosen.text != rejected.text:
                yield Pair(chosen, rejected, Origin.SIBLINGS)


def labelled_by_vote(
    a: Completion, b: Completion, verdict: Verdict, origin: Origin = Origin.VOTE
) -> Iterator[Labelled]:
    """A row for each side; one text on both sides with a winner says nothing about the text."""
    if not a.text or not b.text or (a.text == b.text and verdict in {Verdict.A, Verdict.B}):
        return
    yield Labelled(a, verdict in {Verdict.A, Verdict.TIE}, origin)
    yield Labelled(b, verdict in {Verdict.B, Verdict.TIE}, origin)


def pairs_by_vote(a: Completion, b: Completion, verdict: Verdict, origin: Origin = Origin.VOTE) -> Iterator[Pair]:
    """One pair when a side was preferred and the texts differ; none for a tie."""
    if a.text == b.text or not a.text or not b.text:
        return
    if verdict == Verdict.A:
        yield Pair(a, b, origin)
    elif verdict == Verdict.B:
        yield Pair(b, a, origin)


def thumbed(answers: GivenAnswers) -> bool | None:
    """True for a thumb up, False for one down, None without."""
    for answer in answers.values():
        if answer.kind == "thumb":
            return bool(answer.value == "up")
    return None


def corrected(output: str, answers: GivenAnswers) -> str | None:
    """The corrected answer, where it differs from what was answered and is not empty."""
    for answer in answers.values():
        if answer.kind == "correction" and isinstance(answer.value, str) and answer.value.strip():
            return None if answer.value.strip() == output.strip() else answer.value
    return None
