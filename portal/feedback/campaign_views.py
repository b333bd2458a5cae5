"""Campaigns as people see them: the list, the appeal, the form, the thanks, the results, and what is embedded."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

import segno
from csp.decorators import csp_replace
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import Actor, current_actor, identified_actor
from portal.accounts.limits import Blocked, LimitExceeded
from portal.catalog.markdown import render_markdown
from portal.feedback.access import get_campaign, may_maintain, may_see_results
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.campaign_crossing import categorical_questions, cross_table
from portal.feedback.campaign_results import campaign_results
from portal.feedback.campaign_services import CampaignClosed, save_progress, send_answers
from portal.feedback.given_form import GivenForm, read_given
from portal.feedback.models import Campaign, Submission
from portal.feedback.queries import campaign_draft, campaigns_with_counts, own_campaign_submission, submission_count
from portal.feedback.question_display import form_questions
from portal.feedback.services import AlreadyReviewed, VersionConflict
from portal.feedback.terms import Terms, shown_terms
from portal.feedback.views import refusal
from portal.feedback.wording import LANGUAGE_NAMES, available_languages, page_language, wording

PER_PAGE: Final = 20
_REFUSALS: Final = (AnswersInvalid, CampaignClosed, AlreadyReviewed, VersionConflict, LimitExceeded, Blocked)


@require_http_methods(["GET", "HEAD"])
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Open campaigns first, then those that ended; maintainers also see what is not published yet."""
    is_maintainer = may_maintain(request.user)
    page = Paginator(campaigns_with_counts(unpublished=is_maintainer), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "feedback/campaigns.html", {"page": page, "may_maintain": is_maintainer})


@never_cache
@require_http_methods(["GET", "HEAD"])
def campaign(request: HttpRequest, slug: str) -> HttpResponse:
    """The appeal, how far it is, and the way to answer."""
    shown = get_campaign(request.user, slug)
    actor = current_actor(request)
    questionnaire = shown.questionnaire
    languages = available_languages(questionnaire)
    context = {
        **_frame(request, shown),
        "appeal": render_markdown(wording_of(shown, "appeal")),
        "mine": own_campaign_submission(actor, shown),
        "draft": campaign_draft(actor, shown),
        "languages": [(each, LANGUAGE_NAMES.get(each, each)) for each in languages] if len(languages) > 1 else [],
        "question_count": len(questionnaire.questions.all()),
    }
    return render(request, "feedback/campaign.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, slug: str) -> HttpResponse:
    """The questions; POST saves what is there so far, or sends it."""
    shown = get_campaign(request.user, slug)
    actor = current_actor(request)
    if actor.user is None and not shown.allows_anonymous:
        return redirect(f"/accounts/login/?next={request.path}")
    if not shown.is_open():
        return redirect(shown)
    if request.method == "POST":
        return _take(request, shown)
    draft, mine = campaign_draft(actor, shown), own_campaign_submission(actor, shown)
    answers = draft.values if draft is not None else mine.values() if mine is not None else {}
    return _form(request, shown, actor, answers)


@never_cache
@require_http_methods(["GET", "HEAD"])
def thanks(request: HttpRequest, slug: str) -> HttpResponse:
    """What happens next, for those who sent something."""
    shown = get_campaign(request.user, slug)
    mine = Submission.objects.filter(current_actor(request).owns(), campaign=shown, withdrawn_at=None).first()
    if mine is None:
        return redirect(shown)
    context = {**_frame(request, shown), "thanks": render_markdown(wording_of(shown, "thanks")), "mine": mine}
    return render(request, "feedback/thanks.html", context)


@never_cache
@require_http_methods(["GET", "HEAD"])
def results(request: HttpRequest, slug: str) -> HttpResponse:
    """Charts per question with n and intervals, the chosen quotes, and two questions crossed."""
    shown = get_campaign(request.user, slug)
    if not may_see_results(request.user, shown):
        raise Http404
    crossable = {question.key: question for question in categorical_questions(shown)}
    row, column = crossable.get(request.GET.get("row", "")), crossable.get(request.GET.get("column", ""))
    crossed = cross_table(shown, row, column) if row is not None and column is not None and row != column else None
    # Until somebody chose, the form offers two that differ.
    row = row or next((each for each in crossable.values() if each != column), None)
    column = column or next((each for each in crossable.values() if each != row), None)
    context = {
        **_frame(request, shown),
        "results": campaign_results(shown),
        "crossable": [(key, wording(each, "label", each.label)) for key, each in crossable.items()],
        "row": row,
        "column": column,
        "cross": crossed,
    }
    return render(request, "feedback/results.html", context)


@xframe_options_exempt
@csp_replace({"frame-ancestors": ["*"]})  # type: ignore[arg-type]
@require_http_methods(["GET", "HEAD"])
def embedded(request: HttpRequest, slug: str) -> HttpResponse:
    """A small card for other sites' frames: the title, how far it is, and a link that opens here. It takes no input."""
    shown = get_campaign(request.user, slug)
    if not shown.is_published:
        raise Http404
    return render(request, "feedback/embedded.html", {**_frame(request, shown)})


@require_http_methods(["GET", "HEAD"])
def qr_code(request: HttpRequest, slug: str) -> HttpResponse:
    """The campaign's address as a QR code, dark on light with its quiet zone whatever the theme."""
    shown = get_campaign(request.user, slug)
    picture = io.BytesIO()
    segno.make(request.build_absolute_uri(shown.get_absolute_url()), error="m").save(
        picture, kind="svg", scale=8, border=4, dark="#000", light="#fff", title=shown.title
    )
    response = HttpResponse(picture.getvalue(), content_type="image/svg+xml")
    response["Content-Disposition"] = f'inline; filename="{shown.slug}.svg"'
    return response


def _take(request: HttpRequest, shown: Campaign) -> HttpResponse:
    actor = identified_actor(request)
    questions = list(shown.questionnaire.questions.all())
    given = read_given(questions, request.POST)
    is_saving = "save" in request.POST
    try:
        if is_saving:
            save_progress(actor, shown, given.answers)
            return _form(request, shown, actor, given.answers, given=given, is_saved=True)
        if given.unseen or given.errors:
            return _form(request, shown, actor, given.answers, given=given, errors=given.errors, status=422)
        language = _language(request, shown)
        send_answers(actor, shown, given.answers, given.terms or Terms(), given.version, language)
    except _REFUSALS as error:
        status, problem, errors = (
            (409, " ".join(error.messages), {}) if isinstance(error, CampaignClosed) else refusal(error)
        )
        return _form(request, shown, actor, given.answers, given=given, errors=errors, problem=problem, status=status)
    except PermissionDenied:
        return redirect(f"/accounts/login/?next={request.path}")
    return redirect("feedback:thanks", shown.slug)


def _form(
    request: HttpRequest,
    shown: Campaign,
    actor: Actor,
    answers: Mapping[str, Any],
    *,
    given: GivenForm | None = None,
    errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    is_saved: bool = False,
    status: int = 200,
) -> HttpResponse:
    mine = own_campaign_submission(actor, shown)
    language = _language(request, shown)
    consent, licence = request.POST.get("consent", ""), request.POST.get("licence", "")
    if mine is not None:
        consent, licence = consent or mine.consent, licence or mine.licence
    questionnaire = shown.questionnaire
    intro = wording(questionnaire, "intro", questionnaire.intro, language)
    context = {
        **_frame(request, shown),
        "intro": render_markdown(intro) if intro else "",
        "questions": form_questions(questionnaire.questions.all(), answers, errors, language),
        "terms": shown_terms(consent, licence, may_quote=True, errors=errors),
        "given": None if is_saved else given,
        "errors": errors,
        "problem": problem,
        "is_saved": is_saved,
        "mine": mine,
        "draft": campaign_draft(actor, shown),
        "language": language,
    }
    return render(request, "feedback/campaign_form.html", context, status=status)


def _frame(request: HttpRequest, shown: Campaign) -> dict[str, Any]:
    now = timezone.now()
    count = submission_count(shown)
    return {
        "campaign": shown,
        "title": wording_of(shown, "title"),
        "summary": wording_of(shown, "summary"),
        "count": count,
        "is_open": shown.is_open(now),
        "has_ended": shown.has_ended(now),
        "may_maintain": may_maintain(request.user),
        "may_see_results": may_see_results(request.user, shown),
    }


def wording_of(shown: Campaign, name: str) -> str:
    """A campaign's text; what ships is written where it can be marked for translation."""
    text = getattr(shown, name)
    return gettext(text) if text else ""


def _language(request: HttpRequest, shown: Campaign) -> str:
    """The one that was asked for, else the page's, of those that the questionnaire is in."""
    languages = available_languages(shown.questionnaire)
    asked = request.POST.get("language") or request.GET.get("language") or page_language()
    return asked if asked in languages else shown.questionnaire.language
