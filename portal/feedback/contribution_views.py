"""What I gave: every submission of this person or this browser, where it stands, all of it to take along or away."""

from __future__ import annotations

from typing import Final

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import current_actor
from portal.feedback.queries import contributions
from portal.feedback.question_display import shown_answers

CONTRIBUTIONS_PER_PAGE: Final = 25


@never_cache
@require_http_methods(["GET", "HEAD"])
def contribution_list(request: HttpRequest) -> HttpResponse:
    """Everything given, the last changed first."""
    paginator = Paginator(contributions(current_actor(request)), CONTRIBUTIONS_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    given = [(submission, shown_answers(submission)) for submission in page]
    return render(request, "feedback/contributions.html", {"page": page, "given": given})
