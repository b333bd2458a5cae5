"""What the page frame around every app needs: the navigation, the chosen theme, the request id, the version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal import __version__

# theme.js writes the cookie, so that the first byte of the next page already has the right colours.
THEME_COOKIE: Final = "theme"
THEMES: Final = frozenset({"light", "dark"})

NAVIGATION: Final[tuple[tuple[str, str | Promise], ...]] = (
    ("catalog:list", _("Cards")),
    ("playground:new", _("Playground")),
    ("arena:arena", _("Arena")),
    ("feedback:campaigns", _("Feedback")),
    ("exports:overview", _("Data")),
    ("operations:status", _("Status")),
    ("api:docs", _("API")),
)
# Apps whose pages are reached from another's.
_PART_OF: Final = {"webhooks": "exports", "evidence": "catalog"}
FOR_STAFF: Final[tuple[tuple[str, str | Promise], ...]] = (("reviews:queue", _("Review")),)


@dataclass(frozen=True, slots=True)
class NavigationLink:
    url: str
    label: str | Promise
    current: bool


def chosen_theme(request: HttpRequest) -> str:
    """`light` or `dark` when this browser chose one, else an empty string: follow the system."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def _navigation(request: HttpRequest) -> list[NavigationLink]:
    app_name = request.resolver_match.app_name if request.resolver_match else ""
    app_name = _PART_OF.get(app_name, app_name)
    # Reviewers, maintainers and operators are staff, which costs no query to know.
    pages = (*NAVIGATION, *(FOR_STAFF if getattr(request, "user", None) and request.user.is_staff else ()))
    return [
        NavigationLink(url=reverse(view_name), label=label, current=view_name.startswith(f"{app_name}:"))
        for view_name, label in pages
    ]


def page_frame(request: HttpRequest) -> dict[str, Any]:
    return {
        "navigation": _navigation(request),
        "request_id": getattr(request, "request_id", ""),
        "theme": chosen_theme(request),
        "portal_version": __version__,
    }
