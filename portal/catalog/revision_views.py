"""A card's history and its editor: read by everybody who sees the card, written by maintainers alone."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.models import User
from portal.catalog.access import get_card, get_maintained_card, get_revision, may_maintain_cards
from portal.catalog.card_advice import card_advice
from portal.catalog.card_fields import CARD_FIELDS
from portal.catalog.card_metadata import describe_metadata
from portal.catalog.card_outline import SECTIONS
from portal.catalog.card_page import render_card
from portal.catalog.card_text import parse_card
from portal.catalog.card_training import TrainingPart
from portal.catalog.forms import RevisionForm
from portal.catalog.models import CardRevision, ModelCard
from portal.catalog.queries import card_revisions, get_draft
from portal.catalog.raw_text import raw_text_response
from portal.catalog.services import (
    RevisionConflict,
    discard_draft,
    publish_revision,
    restore_revision,
    save_draft,
)
from portal.catalog.text_comparison import compare_cards

REVISIONS_PER_PAGE = 50


# --- Reading


@require_safe
def revisions(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """A card's history, newest first; any two can be chosen and compared."""
    card = get_card(request.user, owner_name, slug)
    page = Paginator(card_revisions(card), REVISIONS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"card": card, "page": page, "may_maintain": may_maintain_cards(request.user)}
    return render(request, "catalog/revisions.html", context)


@require_safe
def revision(request: HttpRequest, owner_name: str, slug: str, number: int) -> HttpResponse:
    """One text of the card as it was, with what it changed."""
    shown = get_revision(request.user, owner_name, slug, number)
    context = {
        "card": shown.card,
        "revision": shown,
        "current": shown.card.current_revision,
        "rendered": render_card(shown.card, shown.text),
        "metadata": describe_metadata(shown.metadata),
        "may_maintain": may_maintain_cards(request.user),
    }
    return render(request, "catalog/revision.html", context)


@require_safe
def revision_readme(request: HttpRequest, owner_name: str, slug: str, number: int) -> HttpResponseBase:
    """That text byte for byte."""
    return raw_text_response(request, get_revision(request.user, owner_name, slug, number))


@require_safe
def compare(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """What changed between any two revisions: words in the text, fields in the metadata."""
    old, new = (
        get_revision(request.user, owner_name, slug, _number(request.GET.get(side, ""))) for side in ("from", "to")
    )
    context = {
        "card": old.card,
        "old": old,
        "new": new,
        "revisions": [old, new],
        "comparison": compare_cards(old.text, new.text),
    }
    return render(request, "catalog/compare.html", context)


def _number(text: str) -> int:
    """A revision's number out of an address. Raises Http404 for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Http404
    return int(text)


# --- Writing


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """The editor: preview or publish. What somebody else published meanwhile is shown beside."""
    card = get_maintained_card(request.user, owner_name, slug)
    author = _author(request)
    if request.method != "POST":
        return _editor(request, card, RevisionForm(current=card.current_revision, initial=_start(card, author)))
    form = RevisionForm(request.POST, current=card.current_revision)
    if not form.is_valid():
        return _editor(request, card, form, status=422, problems=_messages(form))
    text, note, based_on = (form.cleaned_data[name] for name in ("text", "note", "based_on"))
    if request.POST.get("action") == "preview":
        return _preview(request, card, form)
    try:
        published = publish_revision(card, text, author, note, based_on=based_on)
    except RevisionConflict as conflict:
        return _conflict(request, card, form, conflict.current)
    except ValidationError as error:
        form.add_error(None, error)
        return _editor(request, card, form, status=422, problems=_keep(card, author, form))
    messages.success(request, _("Revision %(number)s is what readers see now.") % {"number": published.number})
    return redirect(card)


@require_POST
def draft(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """Keeps what is typed while it is typed; answers with one line about it."""
    card = get_maintained_card(request.user, owner_name, slug)
    author = _author(request)
    form = RevisionForm(request.POST, current=card.current_revision)
    problems = _keep(card, author, form) if form.is_valid() else _messages(form)
    context = {"draft": None if problems else get_draft(card, author), "problems": problems}
    return render(request, "catalog/draft_state.html", context, status=422 if problems else 200)


@require_POST
def discard(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """Puts the draft away and leads back to the text that the card has."""
    discard_draft(get_maintained_card(request.user, owner_name, slug), _author(request))
    messages.success(request, _("The draft is gone; this is the text that the card has."))
    return redirect("catalog:edit", owner_name, slug)


@require_POST
def restore(request: HttpRequest, owner_name: str, slug: str, number: int) -> HttpResponse:
    """Makes an earlier text current again. It becomes a revision, so this too can be undone."""
    card = get_maintained_card(request.user, owner_name, slug)
    earlier = get_revision(request.user, owner_name, slug, number)
    try:
        restored = restore_revision(earlier, _author(request), based_on=_number(request.POST.get("based_on", "")))
    except RevisionConflict as conflict:
        number_now = conflict.current.number if conflict.current else 0
        messages.error(
            request,
            _("Nothing was restored: revision %(number)s came in between. Look at what it says first.")
            % {"number": number_now},
        )
        return redirect("catalog:revision", owner_name, slug, number)
    messages.success(
        request,
        _("Revision %(restored)s has the text of revision %(number)s.")
        % {"restored": restored.number, "number": number},
    )
    return redirect(card)


def _keep(card: ModelCard, author: User, form: RevisionForm) -> list[str]:
    """Keep what a valid form says as the author's draft; why not, where it cannot be."""
    try:
        save_draft(card, author, **form.said)
    except ValidationError as error:
        return error.messages
    return []


def _messages(form: RevisionForm) -> list[str]:
    return [str(message) for errors in form.errors.values() for message in errors]


def _author(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # get_maintained_card let nobody else pass
    return request.user


def _start(card: ModelCard, author: User) -> dict[str, Any]:
    """What the editor opens with: the author's own draft, or the text that the card has."""
    kept = get_draft(card, author)
    if kept is not None:
        return {"text": kept.text, "note": kept.note, "based_on": kept.based_on}
    current = card.current_revision
    return {"text": current.text if current else "", "based_on": current.number if current else 0}


def _editor(
    request: HttpRequest, card: ModelCard, form: RevisionForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "card": card,
        "current": card.current_revision,
        "form": form,
        "draft": get_draft(card, _author(request)),
        "fields": CARD_FIELDS,
        "training_parts": TrainingPart,
        "sections": SECTIONS,
        "draft_address": reverse("catalog:draft", args=[card.owner_name, card.slug]),
    }
    return render(request, "catalog/edit.html", context | more, status=status)


def _preview(request: HttpRequest, card: ModelCard, form: RevisionForm) -> HttpResponse:
    """The text as readers would see it; nothing but the draft is written."""
    text = form.cleaned_data["text"]
    try:
        save_draft(card, _author(request), **form.cleaned_data)
        more: dict[str, Any] = {
            "preview": render_card(card, text),
            "preview_metadata": describe_metadata(parse_card(text).metadata),
            "advice": card_advice(parse_card(text).metadata, picture_name=card.picture_name),
        }
        if card.current_revision is not None:
            more["comparison"] = compare_cards(card.current_revision.text, text)
    except ValidationError as error:
        more = {"preview_problems": error.messages}
    return _editor(request, card, form, **more)


def _conflict(request: HttpRequest, card: ModelCard, form: RevisionForm, current: CardRevision | None) -> HttpResponse:
    """Both texts, what each changed, and a form that is based on the newer one: nothing is lost either way."""
    text, based_on = form.cleaned_data["text"], form.cleaned_data["based_on"]
    assert current is not None  # a conflict is with somebody's revision
    save_draft(card, _author(request), **form.cleaned_data)
    card.current_revision = current
    start = card.revisions.filter(number=based_on).first()
    again = RevisionForm(
        current=current, initial={"text": text, "note": form.cleaned_data["note"], "based_on": current.number}
    )
    more = {
        "conflict": current,
        "theirs": compare_cards(start.text, current.text) if start else None,
        "between": compare_cards(current.text, text),
    }
    return _editor(request, card, again, status=409, **more)
