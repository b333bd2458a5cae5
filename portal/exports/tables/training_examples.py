"""Judged chats that may train a model: read in chunks from submissions and votes, with where each comes from.

A chat is left out when one of its prompts is held out, and when something in it was not given: a system prompt, or an
earlier turn that its person did not judge with the consent to publish.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import Q

from portal.arena.models import Kind as ContestKind
from portal.arena.models import Vote
from portal.arena.review_states import SET_ASIDE, ReviewState
from portal.exports.criteria import Criteria
from portal.exports.models import HeldOutPrompt, prompt_digest
from portal.exports.preferences import (
    Completion,
    Labelled,
    Origin,
    Pair,
    Verdict,
    labelled_by_answers,
    labelled_by_vote,
    pairs_by_answers,
    pairs_by_vote,
    pairs_of_siblings,
    thumbed,
)
from portal.exports.queries import in_chunks, read_records, selected, until_now
from portal.exports.records import SubmissionRecord
from portal.exports.rows import DIGESTS_KEY, iso_utc, pseudonym
from portal.exports.tables.comparisons import FILTERS as VOTE_FILTERS
from portal.exports.tables.comparisons import selected_votes
from portal.exports.tables.conversations import published_on
from portal.feedback import token_choice
from portal.playground.models import Generation, Kind

# What no trainer should read, unless the reader asks for it by name.
USABLE: Final = tuple(state.value for state in ReviewState if state not in SET_ASIDE)

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an example comes from."""

    created_at: str
    submissions: list[str]
    vote: str | None
    contributor: str | None
    questionnaire: str | None
    questionnaire_version: int | None
    review_state: str
    consent: str | None
    licence: str | None
    language: str


@dataclass(frozen=True, slots=True)
class Example:
    """One chat, and what somebody said about its completions."""

    messages: Messages
    labelled: tuple[Labelled, ...]
    pairs: tuple[Pair, ...]
    source: Source


def read_examples(criteria: Criteria, salt: bytes) -> Iterator[list[Example]]:
    """Examples of submissions, then of votes, each oldest first. Votes come where every criterion applies to them.

    Raises InvalidCriterion before the first is read.
    """
    criteria = until_now(criteria)
    submissions = read_records(selected(_usable(criteria)))
    has_votes = criteria.given() <= VOTE_FILTERS
    votes = in_chunks(_usable_votes(criteria)) if has_votes else iter(())
    return _examples(submissions, votes, salt)


def expected_examples(criteria: Criteria) -> int:
    """How many submissions and votes `read_examples` reads. Raises InvalidCriterion."""
    criteria = until_now(criteria)
    votes = _usable_votes(criteria).count() if criteria.given() <= VOTE_FILTERS else 0
    return selected(_usable(criteria)).count() + int(votes)


def _usable(criteria: Criteria) -> Criteria:
    return criteria if criteria.review_state is not None else replace(criteria, review_state=USABLE)


def _examples(
    submissions: Iterator[list[SubmissionRecord]], votes: Iterator[list[Vote]], salt: bytes
) -> Iterator[list[Example]]:
    held_out = frozenset(HeldOutPrompt.objects.values_list("digest", flat=True))
    for chunk in submissions:
        yield [each for each in _from_submissions(chunk, salt) if not _holds(held_out, each)]
    for voted in votes:
        examples = (_from_vote(vote, salt) for vote in voted)
        yield [each for each in examples if each is not None and not _holds(held_out, each)]


def _holds(held_out: frozenset[str], example: Example) -> bool:
    return any(
        prompt_digest(message["content"]) in held_out for message in example.messages if message["role"] == "user"
    )


# --- Submissions


def _from_submissions(records: list[SubmissionRecord], salt: bytes) -> Iterator[Example]:
    given = _given_whole(records)
    rejected = _thumbed_down_beside(records)
    choices = _token_choices(records)
    for record in records:
        if record.generation not in given or record.messages is None:
            continue
        answer = _completion(record)
        siblings = [] if thumbed(record.answers) is not True else rejected[record.id]
        submissions = [record.id, *(each.id for each in siblings)]
        own = tuple(pairs_by_answers(answer, record.answers))
        beside = tuple(pairs_of_siblings([answer], [_completion(each) for each in siblings]))
        chosen: tuple[Pair, ...] = ()
        labelled = tuple(labelled_by_answers(answer, record.answers))
        if record.id in choices:
            original, verdict = choices[record.id]
            chosen = tuple(pairs_by_vote(answer, original, verdict, Origin.TOKEN_CHOICE))
            labelled = tuple(labelled_by_vote(answer, original, verdict, Origin.TOKEN_CHOICE))
        yield Example(
            messages=record.messages,
            labelled=labelled,
            pairs=own + beside + chosen,
            source=Source(
                created_at=record.created_at,
                submissions=submissions,
                vote=None,
                contributor=pseudonym(salt, record.owner_id, record.visitor),
                questionnaire=record.questionnaire,
                questionnaire_version=record.questionnaire_version,
                review_state=record.review_state,
                consent=record.consent,
                licence=record.licence,
                language=record.language,
            ),
        )


def _completion(record: SubmissionRecord) -> Completion:
    return Completion(record.output or "", record.model, (record.provenance or {}).get(DIGESTS_KEY))


def _token_choices(records: list[SubmissionRecord]) -> dict[str, tuple[Completion, Verdict]]:
    """For each submission on an answer that went on from another token: the version before, and what was said."""
    said = {}
    for record in records:
        better = record.answers.get(token_choice.BETTER_KEY)
        if record.questionnaire == token_choice.SLUG and better is not None and better.value in _VERDICTS:
            said[record.id] = (record, _VERDICTS[better.value])
    if not said:
        return {}
    branches = Generation.objects.filter(
        pk__in={record.generation for record, _verdict in said.values()}, branched_from__isnull=False
    )
    originals: dict[str | None, Any] = {
        str(branch): (output, messages, provenance)
        for branch, output, messages, provenance in branches.values_list(
            "pk", "branched_from__output", "branched_from__messages", "branched_from__provenance"
        )
    }
    choices = {}
    for submission, (record, verdict) in said.items():
        output, messages, provenance = originals.get(record.generation, ("", None, {}))
        if output and messages == record.messages:
            choices[submission] = (Completion(output, record.model, provenance.get(DIGESTS_KEY)), verdict)
    return choices


_VERDICTS: Final = {
    token_choice.BRANCH: Verdict.A,
    token_choice.ORIGINAL: Verdict.B,
    token_choice.TIE: Verdict.TIE,
    token_choice.BOTH_BAD: Verdict.BOTH_BAD,
}


def _given_whole(records: list[SubmissionRecord]) -> set[str]:
    """The chats that were given whole: one prompt, or turns of which each was judged to be published."""
    whole: set[str] = set()
    later: list[SubmissionRecord] = []
    for record in records:
        if record.kind != Kind.CHAT:
            continue
        roles = [message["role"] for message in record.messages or []]
        if roles == ["user"] and record.generation is not None:
            whole.add(record.generation)
        elif roles and "system" not in roles:
            later.append(record)
    if later:
        conversations: set[Any] = {record.conversation for record in later}
        runs = Generation.objects.filter(conversation__in=conversations)
        parents = dict(runs.values_list("pk", "parent_id"))
        shared = set(published_on(runs).values_list("generation_id", flat=True))
        for record in later:
            assert record.generation is not None
            turns = sum(message["role"] == "user" for message in record.messages or [])
            line = _line(uuid.UUID(record.generation), parents)
            # A client that sent earlier turns itself has fewer runs than prompts.
            if len(line) == turns and shared.issuperset(line):
                whole.add(record.generation)
    return whole


def _line(generation: uuid.UUID, parents: Mapping[uuid.UUID, uuid.UUID | None]) -> list[uuid.UUID]:
    """The run and those before it."""
    line = [generation]
    while (parent := parents.get(line[-1])) is not None:
        line.append(parent)
    return line


def _thumbed_down_beside(records: Iterable[SubmissionRecord]) -> dict[str, list[SubmissionRecord]]:
    """For each submission, those of the same person who turned down another answer to the same chat."""
    preferred = [record for record in records if thumbed(record.answers) is True]
    conversations: set[Any] = {record.conversation for record in preferred}
    found: dict[str, list[SubmissionRecord]] = defaultdict(list)
    if not conversations:
        return found
    others = selected(Criteria(thumb="down", review_state=USABLE)).filter(generation__conversation__in=conversations)
    by_conversation: dict[str | None, list[SubmissionRecord]] = defaultdict(list)
    for chunk in read_records(others):
        for other in chunk:
            by_conversation[other.conversation].append(other)
    for record in preferred:
        found[record.id] = [
            other
            for other in by_conversation[record.conversation]
            if other.messages == record.messages
            and (other.owner_id, other.visitor) == (record.owner_id, record.visitor)
            and other.questionnaire == record.questionnaire
        ]
    return found


# --- Votes


def _usable_votes(criteria: Criteria) -> Any:
    votes = selected_votes(criteria).filter(kind=ContestKind.BATTLE, void_reason="", comparison__isnull=False)
    return votes if criteria.review_state is not None else votes.filter(~Q(review_state__in=SET_ASIDE))


def _from_vote(vote: Vote, salt: bytes) -> Example | None:
    comparison = vote.comparison
    # Deleted since it was selected, or two chats that went different ways before the last prompt.
    if comparison is None or comparison.generation_a.messages != comparison.generation_b.messages:
        return None
    a, b = (
        _side(comparison.generation_a, vote.variant_a.model_id),
        _side(comparison.generation_b, vote.variant_b.model_id),
    )
    verdict = Verdict(vote.outcome)
    return Example(
        messages=comparison.generation_a.messages,
        labelled=tuple(labelled_by_vote(a, b, verdict)),
        pairs=tuple(pairs_by_vote(a, b, verdict)),
        source=Source(
            created_at=iso_utc(vote.created_at),
            submissions=[],
            vote=str(vote.pk),
            contributor=pseudonym(salt, vote.owner_id, vote.visitor),
            questionnaire=None,
            questionnaire_version=None,
            review_state=vote.review_state,
            consent=None,
            licence=None,
            language=vote.language,
        ),
    )


def _side(generation: Generation, model: str) -> Completion:
    return Completion(generation.output, model, generation.provenance.get(DIGESTS_KEY))
