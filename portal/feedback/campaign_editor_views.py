"""Maintainers' pages for campaigns: make one, change it, and choose whom its results page quotes."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.feedback.access import get_maintained_campaign, require_maintainer
from portal.feedback.campaign_services import CampaignConflict, change_campaign, choose_quote, drop_quote, make_campaign
from portal.feedback.editor_forms import CampaignForm
from portal.feedback.models import Answer
from portal.feedback.queries import text_answers

ANSWERS_PER_PAGE: Final = 50


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_campaign(request: HttpRequest) -> HttpResponse:
    author = require_maintainer(request.user)
    form = CampaignForm(request.POST or None, initial={"version": 0})
    if request.method == "POST" and form.is_valid():
        try:
            made = make_campaign(author, _values(form))
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(made)
    return _page(request, form, title=_("A new campaign"), back=reverse("feedback:campaigns"))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_campaign(request: HttpRequest, slug: str) -> HttpResponse:
    campaign = get_maintained_campaign(request.user, slug)
    form = CampaignForm(request.POST or None, instance=campaign, initial={"version": campaign.version})
    page: dict[str, Any] = {"title": _("Change the campaign"), "back": reverse("feedback:campaign", args=[slug])}
    if request.method == "POST" and form.is_valid():
        stored = get_maintained_campaign(request.user, slug)
        stored.version = form.cleaned_data["version"]
        try:
            change_campaign(stored, _values(form))
        except ValidationError as error:
            form.add_error(None, error)
        except CampaignConflict:
            now = get_maintained_campaign(request.user, slug)
            form.data = form.data.copy()  # type: ignore[attr-defined]
            form.data["version"] = str(now.version)  # type: ignore[index]
            said = _values(form)
            differing = [name for name in said if getattr(now, name) != said[name]]
            conflict = [(str(form.fields[name].label), getattr(now, name)) for name in differing]
            return _page(request, form, **page, conflict=conflict, is_conflict=True, status=409)
        else:
            return redirect("feedback:campaign", form.cleaned_data["slug"])
    return _page(request, form, **page)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def quotes(request: HttpRequest, slug: str) -> HttpResponse:
    """What people wrote, with those who may be quoted; a button chooses one, or takes it back."""
    maintainer = require_maintainer(request.user)
    campaign = get_maintained_campaign(request.user, slug)
    if request.method == "POST":
        key = request.POST.get("answer", "")
        if not (key.isascii() and key.isdigit() and len(key) < 19):
            raise Http404
        if "drop" in request.POST:
            drop_quote(campaign, int(key))
        else:
            try:
                choose_quote(maintainer, campaign, int(key))
            except Answer.DoesNotExist:
                raise Http404 from None
        page_number = request.POST.get("page", "")
        return redirect(f"{request.path}?page={page_number if page_number.isdigit() else ''}#answer-{key}")
    page = Paginator(text_answers(campaign), ANSWERS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "feedback/quotes.html", {"campaign": campaign, "page": page})


def _values(form: CampaignForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in CampaignForm.Meta.fields}


def _page(request: HttpRequest, form: CampaignForm, *, status: int = 200, **page: Any) -> HttpResponse:
    if form.errors:
        status = 422
    return render(request, "feedback/editor_form.html", {"form": form, "action": _("Save"), **page}, status=status)
