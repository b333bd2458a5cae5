"""A run's record and a conversation's export: for their owner, by an unlisted link, and as files; and the re-run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import Actor, current_actor, identified_actor
from portal.accounts.limits import LimitExceeded
from portal.playground.access import get_conversation, get_generation
from portal.playground.models import Conversation, Generation
from portal.playground.record_words import figure_facts, parameter_facts
from portal.playground.rerunning import compare_rerun, may_run_again, rerun_generation, rerun_shared
from portal.playground.run_record import (
    branch_as_markdown,
    conversation_record,
    record_as_bibtex,
    record_as_json,
    record_as_text,
    run_record,
)
from portal.playground.sharing import find_shared, live_link, revoke, share
from portal.playground.tree import read_tree, show_branch

_TYPES: Final = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "bib": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}


@never_cache
@require_http_methods(["GET", "HEAD"])
def record(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """One's own run as a record; `form` is txt, json or bib for the file."""
    run = get_generation(current_actor(request), generation_id)
    if form := request.GET.get("form"):
        return _run_file(request, run, form)
    link = live_link(run)
    url = _shared_url(request, link.token) if link is not None else ""
    return render(request, "playground/record.html", _run_context(request, run) | {"shared_url": url, "is_own": True})


@never_cache
@require_http_methods(["POST"])
def share_run(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """`do` is `share` or `revoke`."""
    run = get_generation(current_actor(request), generation_id)
    _change_link(request, run)
    return redirect("playground:record", run.pk)


@never_cache
@require_http_methods(["POST"])
def share_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """`do` is `share` or `revoke`."""
    conversation = get_conversation(current_actor(request), conversation_id)
    _change_link(request, conversation)
    return redirect("playground:export", conversation.pk)


@never_cache
@require_http_methods(["GET", "HEAD"])
def export(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Take a conversation elsewhere: files, and its link. `form` is md or json."""
    conversation = get_conversation(current_actor(request), conversation_id)
    if form := request.GET.get("form"):
        return _conversation_file(conversation, form)
    link = live_link(conversation)
    url = _shared_url(request, link.token) if link is not None else ""
    return render(request, "playground/export.html", {"conversation": conversation, "shared_url": url})


@never_cache
@require_http_methods(["GET", "HEAD"])
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """What a link shows to whoever has it; gone once it is revoked."""
    link = find_shared(token)
    if link is None:
        raise Http404
    form = request.GET.get("form")
    if link.generation is not None:
        if form:
            response = _run_file(request, link.generation, form)
        else:
            context = _run_context(request, link.generation) | {
                "is_own": False,
                "token": token,
                "may_run_again": may_run_again(link.generation),
            }
            response = render(request, "playground/record.html", context)
    else:
        assert link.conversation is not None
        if form:
            response = _conversation_file(link.conversation, form)
        else:
            context = {"conversation": link.conversation, "turns": _whole_branch(link.conversation)}
            response = render(request, "playground/shared_conversation.html", context)
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rerun(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """POST runs one's own run once more; GET of a repetition puts it beside the earlier one, once it has ended."""
    actor = current_actor(request)
    run = get_generation(actor, generation_id)
    if request.method == "POST":
        return _begun_again(request, actor, run, rerun_generation) or redirect("playground:record", run.pk)
    found = _earlier_of(request, actor, run)
    if found is None:
        messages.info(request, _("The run that this one repeats is not shown any more."))
        return _on(request, run.get_absolute_url())
    earlier, earlier_url = found
    is_over = not (run.is_active or earlier.is_active)
    if not is_over and request.headers.get("HX-Request"):
        return HttpResponse(status=204)
    comparison = compare_rerun(earlier, run) if is_over else None
    context = {"run": run, "earlier": earlier, "earlier_url": earlier_url, "comparison": comparison}
    return render(request, "playground/rerun.html", context)


@never_cache
@require_http_methods(["POST"])
def rerun_link(request: HttpRequest, token: str) -> HttpResponse:
    """Whoever has a run's link runs it once more, in a conversation of their own."""
    link = find_shared(token)
    if link is None or link.generation is None or not may_run_again(link.generation):
        raise Http404
    actor = identified_actor(request)
    return _begun_again(request, actor, link.generation, rerun_shared) or redirect("playground:shared", token)


def _begun_again(
    request: HttpRequest, actor: Actor, run: Generation, begin: Callable[..., Generation]
) -> HttpResponse | None:
    """To the repetition; None when it may not begin, which is said on the next page."""
    try:
        again = begin(actor, run, request_key=uuid.UUID(request.POST.get("request_key", "")))
    except ValueError:
        raise Http404 from None
    except (ValidationError, LimitExceeded) as error:
        said = [error.message] if isinstance(error, LimitExceeded) else error.messages
        messages.error(request, " ".join(said))
        return None
    return redirect("playground:rerun", again.pk)


def _on(request: HttpRequest, address: str) -> HttpResponse:
    """Leave this page, also where only a part of it was asked for."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)


def _earlier_of(request: HttpRequest, actor: Actor, run: Generation) -> tuple[Generation, str] | None:
    """The run that this one repeats and where it stands: one's own, or somebody's as long as its link shows it.

    None once it does not. Raises Http404 for a run that repeats none.
    """
    if run.rerun_of_id is None:
        raise Http404
    with suppress(Http404):
        return get_generation(actor, run.rerun_of_id), reverse("playground:record", args=[run.rerun_of_id])
    assert run.rerun_of is not None
    link = live_link(run.rerun_of)
    shown = find_shared(link.token) if link is not None else None
    if shown is None or shown.generation is None:
        return None
    return shown.generation, _shared_url(request, shown.token)


def _change_link(request: HttpRequest, target: Generation | Conversation) -> None:
    match request.POST.get("do"):
        case "share":
            share(target)
        case "revoke":
            revoke(target)
        case _other:
            raise Http404


def _run_context(request: HttpRequest, run: Generation) -> dict[str, object]:
    found = run_record(run)
    return {
        "run": run,
        "record": found,
        "parameters": parameter_facts(run.params),
        "figures": figure_facts(run.usage, run.timings),
        "provenance_text": record_as_json(found["provenance"]),
        "bibtex": record_as_bibtex(found, _cited_url(request, run)),
    }


def _cited_url(request: HttpRequest, run: Generation) -> str:
    """The run's link, which others can open; without one, the address that its owner sees."""
    link = live_link(run)
    return _shared_url(request, link.token) if link is not None else request.build_absolute_uri(request.path)


def _run_file(request: HttpRequest, run: Generation, form: str) -> HttpResponse:
    found = run_record(run)
    writers = {
        "json": lambda: record_as_json(found),
        "txt": lambda: record_as_text(found),
        "bib": lambda: record_as_bibtex(found, _cited_url(request, run)),
    }
    if form not in writers:
        raise Http404
    return _file(writers[form](), f"run-{run.pk}", form)


def _conversation_file(conversation: Conversation, form: str) -> HttpResponse:
    if form == "json":
        return _file(record_as_json(conversation_record(conversation)), f"conversation-{conversation.pk}", form)
    if form == "md":
        text = branch_as_markdown(conversation, _whole_branch(conversation))
        return _file(text, f"conversation-{conversation.pk}", form)
    raise Http404


def _whole_branch(conversation: Conversation) -> list[Generation]:
    tree = read_tree(conversation)
    branch = show_branch(conversation, tree, tree.newest, page_size=None)
    return [each.generation for each in branch.turns]


def _file(text: str, name: str, form: str) -> HttpResponse:
    response = HttpResponse(text, content_type=_TYPES[form])
    response["Content-Disposition"] = f'inline; filename="{name}.{form}"'
    return response


def _shared_url(request: HttpRequest, token: str) -> str:
    return request.build_absolute_uri(reverse("playground:shared", args=[token]))
