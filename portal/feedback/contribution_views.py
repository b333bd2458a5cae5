"""What I gave: every submission of this person or this browser, where it stands, all of it to take along or away."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import current_actor
from portal.arena.queries import own_votes
from portal.arena.withdrawing import withdraw_all_votes
from portal.feedback import answer_quality, token_choice
from portal.feedback.contribution_notes import ContributionNote, contribution_notes, keeps_copy
from portal.feedback.models import ReviewState, Submission, Target
from portal.feedback.queries import contributions, place_among_contributions
from portal.feedback.question_display import ShownAnswer, shown_answers
from portal.feedback.vote_views import vote_row
from portal.feedback.withdrawing import withdraw_everything, withdraw_submission

CONTRIBUTIONS_PER_PAGE: Final = 25
_TONES: Final = {
    ReviewState.ACCEPTED: "good",
    ReviewState.REJECTED: "bad",
    ReviewState.SPAM: "bad",
    ReviewState.DUPLICATE: "warn",
    ReviewState.NEEDS_INFORMATION: "warn",
}


@dataclass(frozen=True, slots=True)
class Contribution:
    """One submission as its contributor sees it."""

    submission: Submission
    title: str
    url: str
    change_url: str
    answers: list[ShownAnswer]
    notes: list[ContributionNote]
    tone: str

    @property
    def is_published(self) -> bool:
        return keeps_copy(self.notes)


@never_cache
@require_http_methods(["GET", "HEAD"])
def contribution_list(request: HttpRequest) -> HttpResponse:
    """Everything given, the last changed first."""
    actor = current_actor(request)
    paginator = Paginator(contributions(actor), CONTRIBUTIONS_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    notes = contribution_notes([submission.pk for submission in page])
    given = [_contribution(submission, notes.get(submission.pk, [])) for submission in page]
    has_votes = own_votes(actor).exists()
    return render(request, "feedback/contributions.html", {"page": page, "given": given, "has_votes": has_votes})


@never_cache
@require_http_methods(["GET", "HEAD"])
def find_one(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """To the page of the list on which one stands now. Mails lead here, so a stranger is asked to sign in first."""
    place = place_among_contributions(current_actor(request), submission_id)
    if place is None:
        if request.user.is_authenticated:
            raise Http404
        return redirect_to_login(request.get_full_path())
    number = place // CONTRIBUTIONS_PER_PAGE + 1
    query = f"?page={number}" if number > 1 else ""
    return redirect(f"{reverse('feedback:contributions')}{query}#contribution-{submission_id}")


@never_cache
@require_http_methods(["POST"])
def withdraw_one(request: HttpRequest, submission_id: uuid.UUID) -> HttpResponse:
    """Take one submission back, reviewed or not."""
    try:
        withdraw_submission(current_actor(request), submission_id)
    except Submission.DoesNotExist:
        raise Http404 from None
    messages.success(request, _("Withdrawn. What you said is deleted; that there was something, and when, remains."))
    return redirect("feedback:contribution", submission_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete_all(request: HttpRequest) -> HttpResponse:
    """Asks once, then withdraws everything."""
    actor = current_actor(request)
    if request.method == "POST":
        count, votes = withdraw_everything(actor), withdraw_all_votes(actor)
        done = ngettext("%d submission was withdrawn.", "%d submissions were withdrawn.", count) % count
        if votes:
            done += " " + ngettext("%d vote was withdrawn.", "%d votes were withdrawn.", votes) % votes
        messages.success(request, done)
        return redirect("feedback:contributions")
    count, votes = (
        contributions(actor).filter(withdrawn_at=None).count(),
        own_votes(actor).filter(withdrawn_at=None).count(),
    )
    return render(request, "feedback/delete_contributions.html", {"count": count, "votes": votes})


@never_cache
@require_http_methods(["GET", "HEAD"])
def download(request: HttpRequest) -> HttpResponse:
    """All of it as JSON: what was said and voted, on what, under which terms, and what became of it."""
    actor = current_actor(request)
    rows = [_row(request, submission) for submission in contributions(actor)]
    votes = [vote_row(request, vote) for vote in own_votes(actor)]
    response = JsonResponse(
        {"downloaded_at": timezone.now().isoformat(), "contributions": rows, "votes": votes},
        json_dumps_params={"ensure_ascii": False, "indent": 2},
    )
    response["Content-Disposition"] = 'attachment; filename="contributions.json"'
    return response


def _contribution(submission: Submission, notes: list[ContributionNote]) -> Contribution:
    title, url = submission.about()
    return Contribution(
        submission=submission,
        title=title,
        url=url,
        change_url=_change_url(submission),
        answers=shown_answers(submission),
        notes=notes,
        tone=_TONES.get(ReviewState(submission.review_state), "plain"),
    )


def _change_url(submission: Submission) -> str:
    """Where it can be changed, or given again; empty where it cannot."""
    if not (submission.may_be_changed or submission.is_withdrawn):
        return ""
    match submission.target:
        case Target.GENERATION if page := _PAGES_ON_ANSWERS.get(submission.questionnaire_slug):
            return reverse(page, args=[submission.generation_id])
        case Target.GENERATION:
            return reverse("feedback:report_answer", args=[submission.generation_id, submission.questionnaire_slug])
        case Target.COMPARISON:
            return reverse("feedback:report_comparison", args=[submission.comparison_id, submission.questionnaire_slug])
        case Target.CAMPAIGN if (
            submission.campaign is not None and submission.is_only and submission.campaign.is_open()
        ):
            return reverse("feedback:campaign_answer", args=[submission.campaign.slug])
        case _:
            return ""


# Where these are given; any other questionnaire on answers has its name in the address.
_PAGES_ON_ANSWERS: Final = {answer_quality.SLUG: "feedback:panel", token_choice.SLUG: "feedback:token_choice"}


def _row(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    title, url = submission.about()
    return {
        "id": str(submission.pk),
        "about": submission.target,
        "title": title,
        "address": request.build_absolute_uri(url),
        "questionnaire": submission.questionnaire.slug,
        "questionnaire_version": submission.questionnaire.version,
        "answers": submission.values(),
        "consent": submission.consent,
        "licence": submission.licence,
        "language": submission.language,
        "shown": submission.shown,
        "review": submission.review_state,
        "review_reason": submission.review_reason,
        "version": submission.version,
        "created_at": submission.created_at.isoformat(),
        "changed_at": submission.changed_at.isoformat(),
        "withdrawn_at": submission.withdrawn_at.isoformat() if submission.withdrawn_at else None,
    }
