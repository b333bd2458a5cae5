"""What the rules of entry ask of a submission or a vote: its facts, whether it is flagged, who says otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.arena.models import Kind, Outcome, Vote
from portal.arena.written_language import UNKNOWN_LANGUAGE
from portal.feedback import answer_quality
from portal.feedback.models import Submission
from portal.reviews.models.queue import Subject

# Questionnaires that report something; what they say is flagged whatever their answers.
REPORTS: Final = frozenset({"harm-report", "factual-error", "bias-report"})
# What stands for the questionnaire of a vote. No questionnaire can have such a name.
VOTE_FORMS: Final = {Kind.BATTLE: "vote:battle", Kind.SIDE_BY_SIDE: "vote:side-by-side"}
_FORM_NAMES: Final = {"vote:battle": _("Votes in battles"), "vote:side-by-side": _("Votes side by side")}
# Of those who say otherwise about one prompt: the newest of them; a common prompt may have been voted on without end.
MOST_OTHERS: Final = 20
_SAMPLE_RESOLUTION: Final = 10_000
_OTHER_SIDE: Final = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}


def vote_form_name(slug: str) -> Any:
    """What people read for the name that stands for a questionnaire; None for a questionnaire's own."""
    return _FORM_NAMES.get(slug)


def said(subject: Subject) -> dict[str, Any]:
    """Question key → value; a vote answers no questions."""
    return subject.values() if isinstance(subject, Submission) else {}


def item_facts(subject: Subject, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What an item copies from what is reviewed."""
    if isinstance(subject, Vote):
        return _facts_of_vote(subject)
    thumb = answers.get(answer_quality.THUMB_KEY, "")
    return {
        "submission_version": subject.version,
        "target_kind": subject.target,
        "card_id": subject.card_id,
        "variant_id": subject.variant_id,
        "campaign_id": subject.campaign_id,
        "questionnaire": subject.questionnaire_slug,
        "language": _told_language(subject.language),
        "thumb": thumb if thumb in {answer_quality.UP, answer_quality.DOWN} else "",
    }


def _facts_of_vote(vote: Vote) -> dict[str, Any]:
    """A vote is about two variants: a list by variant would count it for one of them, and tell reviewers of both."""
    cards = {vote.variant_a.card_id, vote.variant_b.card_id}
    return {
        "submission_version": vote.version,
        "target_kind": vote.kind,
        "card_id": cards.pop() if len(cards) == 1 else None,
        "questionnaire": VOTE_FORMS[Kind(vote.kind)],
        "language": _told_language(vote.language),
    }


def _told_language(language: str) -> str:
    return "" if language == UNKNOWN_LANGUAGE else language


def in_sample(subject: Subject, percent: Decimal) -> bool:
    """Drawn by its own id: the same in every process, and nobody can try again."""
    digest = hashlib.blake2b(subject.pk.bytes, digest_size=8).digest()
    return int.from_bytes(digest) % _SAMPLE_RESOLUTION < percent * (_SAMPLE_RESOLUTION // 100)


def is_flagged(subject: Subject, answers: Mapping[str, Any]) -> bool:
    """Somebody says that something is wrong; or, of a vote, that names were to be known."""
    if isinstance(subject, Vote):
        return subject.outcome == Outcome.BOTH_BAD or bool(subject.void_reason)
    is_bad = answers.get(answer_quality.THUMB_KEY) == answer_quality.DOWN
    return is_bad or subject.questionnaire_slug in REPORTS or any(key in answers for key in ("correction", "spans"))


def others_say_otherwise(subject: Subject, answers: Mapping[str, Any]) -> list[Subject]:
    """Live judgements of the same answer with the other thumb; other votes on the same prompts and variants."""
    if isinstance(subject, Vote):
        return list(_votes_for_the_other(subject))
    thumb = answers.get(answer_quality.THUMB_KEY)
    if subject.generation_id is None or thumb not in {answer_quality.UP, answer_quality.DOWN}:
        return []
    other = answer_quality.DOWN if thumb == answer_quality.UP else answer_quality.UP
    # By the run's few submissions: joined to their answers, a database may read everybody's thumbs instead.
    on_same_answer = Submission.objects.filter(generation_id=subject.generation_id, withdrawn_at__isnull=True)
    others = on_same_answer.exclude(pk=subject.pk).order_by()
    if not others.exists():
        return []
    return [each for each in others if each.values().get(answer_quality.THUMB_KEY) == other]


def _votes_for_the_other(vote: Vote) -> list[Vote]:
    other = _OTHER_SIDE.get(Outcome(vote.outcome))
    if other is None or not vote.prompt_digest:
        return []
    pair = Q(variant_a=vote.variant_a_id, variant_b=vote.variant_b_id, outcome=other)
    turned = Q(variant_a=vote.variant_b_id, variant_b=vote.variant_a_id, outcome=vote.outcome)
    same_voter = Q(owner=vote.owner_id) if vote.owner_id is not None else Q(visitor=vote.visitor, visitor__isnull=False)
    others = Vote.objects.filter(pair | turned, prompt_digest=vote.prompt_digest, withdrawn_at__isnull=True)
    return list(others.exclude(pk=vote.pk).exclude(same_voter).order_by("-created_at")[:MOST_OTHERS])
