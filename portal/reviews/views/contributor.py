"""What a contributor is asked and told: questions of reviewers, and notices."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.actors import current_actor
from portal.reviews.forms import AnswerInquiryForm
from portal.reviews.models import Inquiry, Notice
from portal.reviews.queries.inquiries import notices_of, open_inquiries
from portal.reviews.services.entering import answer_inquiry


@never_cache
@require_http_methods(["GET", "HEAD"])
def questions(request: HttpRequest) -> HttpResponse:
    """What reviewers ask this person or this browser, and what they were told."""
    actor = current_actor(request)
    notices = list(notices_of(actor))
    if request.method == "GET" and actor.user is not None:
        Notice.objects.filter(owner=actor.user, read_at=None).update(read_at=timezone.now())
    return render(request, "reviews/questions.html", {"inquiries": open_inquiries(actor), "notices": notices})


@require_POST
def answer(request: HttpRequest, inquiry_id: int) -> HttpResponse:
    """One's own answer to a question; the submission goes back to the reviewers."""
    actor = current_actor(request)
    inquiry = open_inquiries(actor).filter(pk=inquiry_id).first()
    if inquiry is None:
        raise Http404
    form = AnswerInquiryForm(request.POST)
    if not form.is_valid():
        context = {"inquiries": open_inquiries(actor), "notices": notices_of(actor), "form": form, "at": inquiry_id}
        return render(request, "reviews/questions.html", context, status=422)
    _answer(request, inquiry, form.cleaned_data["answer"])
    return redirect("reviews:questions")


def _answer(request: HttpRequest, inquiry: Inquiry, text: str) -> None:
    if answer_inquiry(inquiry.item.submission, inquiry, text):
        messages.success(request, _("Thank you. Your answer is with the reviewers."))
    else:
        messages.info(request, _("This is not asked any more."))
