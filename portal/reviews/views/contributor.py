"""What a contributor is asked and told: questions of reviewers, and notices."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.actors import Actor, current_actor
from portal.accounts.models import User
from portal.feedback.question_display import shown_answers
from portal.reviews.forms import AnswerInquiryForm
from portal.reviews.models import Inquiry, NoMail, Notice
from portal.reviews.queries.inquiries import notices_of, open_inquiries
from portal.reviews.services.entering import answer_inquiry
from portal.reviews.services.notice_mails import choose_mail, read_no_mail_token


@never_cache
@require_http_methods(["GET", "HEAD"])
def questions(request: HttpRequest) -> HttpResponse:
    """What reviewers ask this person or this browser, and what they were told."""
    actor = current_actor(request)
    notices = list(notices_of(actor))
    if request.method == "GET" and actor.user is not None:
        Notice.objects.filter(owner=actor.user, read_at=None).update(read_at=timezone.now())
    return render(request, "reviews/questions.html", _page(actor) | {"notices": notices})


@require_POST
@login_required
def mail(request: HttpRequest) -> HttpResponse:
    """Whether what became of one's own comes by mail too, as `wanted` says."""
    assert isinstance(request.user, User)
    wanted = request.POST.get("wanted") == "yes"
    choose_mail(request.user, wanted=wanted)
    messages.success(request, _("It comes by mail too.") if wanted else _("No more mail of this comes."))
    return redirect("reviews:questions")


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def no_mail(request: HttpRequest, token: str) -> HttpResponse:
    """Where a mail's link leads. GET asks, since mail programs open links; POST, of a person or of a mail program
    (RFC 8058, which sends no cookie and no CSRF token), ends it. The link itself says who may."""
    person = read_no_mail_token(token)
    if person is None:
        raise Http404
    if request.method == "POST":
        choose_mail(person, wanted=False)
    return render(request, "reviews/no_mail.html", {"person": person, "is_done": request.method == "POST"})


@require_POST
def answer(request: HttpRequest, inquiry_id: int) -> HttpResponse:
    """One's own answer to a question; what they gave goes back to the reviewers."""
    actor = current_actor(request)
    inquiry = open_inquiries(actor).filter(pk=inquiry_id).first()
    if inquiry is None:
        raise Http404
    form = AnswerInquiryForm(request.POST)
    if not form.is_valid():
        context = _page(actor) | {"form": form, "at": inquiry_id}
        return render(request, "reviews/questions.html", context, status=422)
    _answer(request, inquiry, form.cleaned_data["answer"])
    return redirect("reviews:questions")


def _page(actor: Actor) -> dict[str, Any]:
    has_mail = actor.user is not None and not NoMail.objects.filter(owner=actor.user).exists()
    asked = [_asked(inquiry) for inquiry in open_inquiries(actor)]
    return {"asked": asked, "notices": notices_of(actor), "has_mail": has_mail}


def _asked(inquiry: Inquiry) -> dict[str, Any]:
    """A question, with what it is about and what the person said of it."""
    submission = inquiry.item.submission
    if submission is None:
        return {"inquiry": inquiry}
    title, url = submission.about()
    return {"inquiry": inquiry, "title": title, "url": url, "answers": shown_answers(submission)}


def _answer(request: HttpRequest, inquiry: Inquiry, text: str) -> None:
    if answer_inquiry(inquiry.item.subject, inquiry, text):
        messages.success(request, _("Thank you. Your answer is with the reviewers."))
    else:
        messages.info(request, _("This is not asked any more."))
