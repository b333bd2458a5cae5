"""Any questionnaire about an answer, a comparison or a card: harm, factual errors, bias, and what maintainers made."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from itertools import takewhile
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import Actor, current_actor, identified_actor
from portal.accounts.limits import Blocked, LimitExceeded
from portal.arena.models import Comparison
from portal.catalog.access import get_card
from portal.catalog.markdown import render_markdown
from portal.catalog.models import ModelCard
from portal.feedback import token_choice
from portal.feedback.access import get_asked, get_judged_comparison
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.given_form import GivenForm, read_given
from portal.feedback.models import Questionnaire, Submission
from portal.feedback.queries import asked_about, with_answers
from portal.feedback.question_display import form_questions
from portal.feedback.services import (
    AlreadyReviewed,
    GenerationNotJudgeable,
    VersionConflict,
    said_before,
    submit_report,
)
from portal.feedback.terms import shown_terms
from portal.feedback.token_choice import version_before
from portal.feedback.views import refusal
from portal.feedback.wording import wording
from portal.playground.access import get_generation
from portal.playground.models import Generation

_REFUSALS: Final = (AnswersInvalid, AlreadyReviewed, GenerationNotJudgeable, VersionConflict, LimitExceeded, Blocked)
_Reported = Generation | Comparison | ModelCard


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report_answer(request: HttpRequest, generation_id: uuid.UUID, slug: str) -> HttpResponse:
    return _report(request, get_generation(current_actor(request), generation_id), get_asked("on_answers", slug))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def choose_version(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Which is better: an answer that goes on from another token, or the one that it began as."""
    generation = get_generation(current_actor(request), generation_id)
    original = version_before(generation)
    if original is None:
        raise Http404
    asked = Questionnaire.objects.prefetch_related("questions").get(slug=token_choice.SLUG, is_current=True)
    return _report(request, generation, asked, original)


@never_cache
@require_http_methods(["GET", "HEAD"])
def comparison_questionnaires(request: HttpRequest, comparison_id: uuid.UUID) -> HttpResponse:
    """What can be said about a comparison beyond the vote."""
    comparison = get_judged_comparison(current_actor(request), comparison_id)
    context = {"comparison": comparison, "questionnaires": asked_about("on_comparisons")}
    return render(request, "feedback/comparison_reports.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report_comparison(request: HttpRequest, comparison_id: uuid.UUID, slug: str) -> HttpResponse:
    comparison = get_judged_comparison(current_actor(request), comparison_id)
    return _report(request, comparison, get_asked("on_comparisons", slug))


@never_cache
@require_http_methods(["GET", "HEAD"])
def card_questionnaires(request: HttpRequest, owner_name: str, card_slug: str) -> HttpResponse:
    """What can be said about a card."""
    card = get_card(request.user, owner_name, card_slug)
    return render(request, "feedback/card_reports.html", {"card": card, "questionnaires": asked_about("on_cards")})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report_card(request: HttpRequest, owner_name: str, card_slug: str, slug: str) -> HttpResponse:
    return _report(request, get_card(request.user, owner_name, card_slug), get_asked("on_cards", slug))


def _report(
    request: HttpRequest, target: _Reported, questionnaire: Questionnaire, original: Generation | None = None
) -> HttpResponse:
    actor = current_actor(request)
    mine = _said(actor, target, questionnaire)
    form = partial(_form, request, target, questionnaire, mine, original=original)
    if request.method != "POST":
        return form(mine.values() if mine is not None else {})
    questions = list(questionnaire.questions.all())
    given = read_given(questions, request.POST, known=target.output if isinstance(target, Generation) else "")
    if given.unseen or given.errors:
        return form(given.answers, given=given, errors=given.errors, status=422)
    try:
        submit_report(identified_actor(request), target, questionnaire, given.answers, given.terms, given.version)
    except _REFUSALS as error:
        status, problem, errors = refusal(error)
        return form(given.answers, given=given, errors=errors, problem=problem, status=status)
    messages.success(request, _("Sent, thank you. Reviewers read it next; where it stands is said here."))
    return redirect("feedback:contributions")


def _said(actor: Actor, target: _Reported, questionnaire: Questionnaire) -> Submission | None:
    """What a report changes; a card takes several."""
    if isinstance(target, ModelCard):
        return None
    return with_answers(said_before(actor, target, questionnaire.slug).filter(withdrawn_at=None)).first()


def _form(
    request: HttpRequest,
    target: _Reported,
    questionnaire: Questionnaire,
    mine: Submission | None,
    answers: Mapping[str, Any],
    *,
    original: Generation | None = None,
    given: GivenForm | None = None,
    errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    consent, licence = request.POST.get("consent", ""), request.POST.get("licence", "")
    if mine is not None:
        consent, licence = consent or mine.consent, licence or mine.licence
    intro = wording(questionnaire, "intro", questionnaire.intro)
    context = {
        "title": wording(questionnaire, "title", questionnaire.title),
        "intro": render_markdown(intro) if intro else "",
        "target": target,
        "target_title": _("A comparison") if isinstance(target, Comparison) else _title(target),
        "generation": target if isinstance(target, Generation) and original is None else None,
        "versions": _versions(target, original) if isinstance(target, Generation) and original is not None else None,
        "comparison": target if isinstance(target, Comparison) else None,
        "questions": form_questions(questionnaire.questions.all(), answers, errors),
        "terms": shown_terms(consent, licence, errors=errors),
        "given": given,
        "errors": errors,
        "problem": problem,
        "mine": mine,
    }
    return render(request, "feedback/report.html", context, status=status)


def _versions(branch: Generation, original: Generation) -> list[tuple[str, str, str]]:
    """Title, the beginning that both have, and how each goes on."""
    pairs = zip(branch.output, original.output, strict=False)
    shared = sum(1 for _same in takewhile(lambda pair: pair[0] == pair[1], pairs))
    titled = ((_("The version with your token"), branch), (_("The version before"), original))
    return [(title, each.output[:shared], each.output[shared:]) for title, each in titled]


def _title(target: Generation | ModelCard) -> str:
    return target.prompt if isinstance(target, Generation) else target.title
