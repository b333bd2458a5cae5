"""Known limitations as pages show them, and groups of accepted reports that may be new ones."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.catalog.models import ModelCard
from portal.feedback.contribution_notes import ContributionNote
from portal.feedback.models import Answer, ReviewState, Submission
from portal.reviews.models import Limitation, LimitationReport, MeToo, Replay, ReplayRun
from portal.reviews.models.limitations import LimitationState, Rule
from portal.reviews.queries.resemblance import said_text
from portal.reviews.text_similarity import clusters, tf_idf

# Grouping compares each with each: this many in a quarter of a second.
MOST_REPORTS: Final = 400
ALIKE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Proposal:
    """Reports that seem to say the same; whether they do, a person decides."""

    reports: list[tuple[Submission, str]]


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """A replayed prompt: its answer then and now. `flipped` is None while that is not known."""

    row: ReplayRun
    flipped: bool | None


def counted_limitations() -> QuerySet[Limitation]:
    """All limitations with how many report them and saw them too."""
    return Limitation.objects.annotate(
        report_count=Coalesce(_count_of(LimitationReport), 0), me_too_count=Coalesce(_count_of(MeToo), 0)
    ).select_related("mitigated_in__card", "card")


def _count_of(model: type[LimitationReport | MeToo]) -> Subquery:
    # A subquery each: joined to both, every report would be counted with every person who saw it too.
    of_limitation = model.objects.filter(limitation=OuterRef("pk")).order_by().values("limitation")
    return Subquery(of_limitation.annotate(count=Count("pk")).values("count"))


def limitations_of(card: ModelCard) -> QuerySet[Limitation]:
    """A card's limitations, the last changed first, with how many report them and saw them too."""
    return counted_limitations().filter(card=card).order_by("-changed_at", "-id")


def limitation_notes(submissions: Collection[uuid.UUID]) -> dict[uuid.UUID, list[ContributionNote]]:
    """For the contributions page: which known limitation each became part of, how it stands and where it is mended."""
    reports = LimitationReport.objects.filter(submission__in=submissions)
    return {
        each.submission_id: [_note(each.limitation)]
        for each in reports.select_related("limitation__card", "limitation__mitigated_in__card")
    }


def _note(limitation: Limitation) -> ContributionNote:
    said = {"title": limitation.title, "state": limitation.get_state_display()}
    text = _("Part of the known limitation “%(title)s”: %(state)s.") % said
    if limitation.state == LimitationState.MITIGATED and limitation.mitigated_in is not None:
        said["variant"] = limitation.mitigated_in.model_id
        text = _("Part of the known limitation “%(title)s”: mitigated in %(variant)s.") % said
    # A card that is not public has no public page of its limitations.
    return ContributionNote(text, limitation.get_absolute_url() if limitation.card.is_published else "")


def reports_of(limitation: Limitation) -> QuerySet[LimitationReport]:
    """What it was made of, with what was said, the run that it was said of and the item under which it was reviewed.

    For maintainers: they are as private as the review pages.
    """
    answers = Prefetch("submission__answers", Answer.objects.select_related("question"))
    return (
        LimitationReport.objects.filter(limitation=limitation)
        .select_related("submission__review_item", "submission__generation__variant__card")
        .prefetch_related(answers)
        .order_by("added_at", "pk")
    )


def free_reports(card: ModelCard) -> QuerySet[Submission]:
    """Accepted reports about a card that stand for no limitation, newest first."""
    return Submission.objects.filter(
        card=card, review_state=ReviewState.ACCEPTED, withdrawn_at__isnull=True, limitation_report__isnull=True
    ).order_by("-created_at", "-id")


def propose_limitations(card: ModelCard) -> tuple[list[Proposal], list[tuple[Submission, str]]]:
    """Groups of the newest accepted reports that say the same, the largest first; and those that stand alone."""
    answers = Prefetch("answers", Answer.objects.select_related("question"))
    with_words = free_reports(card).filter(answers__text__gt="").distinct()
    newest = with_words.select_related("review_item").prefetch_related(answers)[:MOST_REPORTS]
    reports = [(each, said_text(each.values())) for each in newest]
    reports = [pair for pair in reports if pair[1]]
    groups = clusters(tf_idf([text for _submission, text in reports]), ALIKE)
    grouped = {index for group in groups for index in group}
    alone = [pair for index, pair in enumerate(reports) if index not in grouped]
    return [Proposal([reports[index] for index in group]) for group in groups], alone


def said_me_too(actor: Actor, limitation: Limitation) -> bool:
    return MeToo.objects.filter(actor.owns(), limitation=limitation).exists()


def replays_of(limitation: Limitation) -> list[tuple[Replay, list[ReplayedRun]]]:
    """Each replay with its runs and which of them flipped."""
    return [(replay, runs_of(replay)) for replay in replays_with_runs().filter(limitation=limitation)]


def replays_with_runs() -> QuerySet[Replay]:
    """All replays with their runs, in two queries."""
    runs = ReplayRun.objects.select_related("original", "generation")
    return Replay.objects.select_related("variant__card", "asked_by").prefetch_related(Prefetch("runs", runs))


def runs_of(replay: Replay) -> list[ReplayedRun]:
    """A replay's runs and which of them flipped."""
    return [ReplayedRun(run, flipped(replay, run)) for run in replay.runs.all()]


def flipped(replay: Replay, run: ReplayRun) -> bool | None:
    """Whether the other variant's answer differs, by the replay's own rule; a person's word outweighs it."""
    if run.judged is not None:
        return run.judged
    if run.generation is None or run.generation.is_active or run.generation.state != "succeeded":
        return None
    before, after = run.original.output, run.generation.output
    match replay.rule:
        case Rule.EXACT:
            return before.strip() != after.strip()
        case Rule.PHRASE:
            phrase = replay.phrase.casefold()
            return (phrase in before.casefold()) != (phrase in after.casefold())
        case _:
            return None


def replay_counts(runs: list[ReplayedRun]) -> Mapping[str, Any]:
    known = [run.flipped for run in runs if run.flipped is not None]
    return {"flipped": sum(known), "known": len(known), "all": len(runs)}
