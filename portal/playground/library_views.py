"""The prompt library's page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.roles import Role
from portal.catalog.access import variants_for
from portal.playground.prompt_library import shown_collections


@never_cache
@require_http_methods(["GET", "HEAD"])
def library(request: HttpRequest) -> HttpResponse:
    """Collections and cards' examples, each prompt one click from being tried."""
    may_edit = request.user.is_authenticated and request.user.is_staff and request.user.has_role(Role.MAINTAINER)
    context = {"collections": shown_collections(variants_for(request.user)), "may_edit": may_edit}
    return render(request, "playground/library.html", context)
