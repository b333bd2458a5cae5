"""What templates of reviewing call: the tabs that a person's roles open."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext

from portal.accounts.models import User
from portal.accounts.roles import Role

register = template.Library()


@register.inclusion_tag("reviews/tabs.html", takes_context=True)
def review_tabs(context: RequestContext, here: str = "") -> dict[str, Any]:
    """The tabs above every page of reviewing; `here` names the open one."""
    return {"here": here, "review_roles": roles_of_reviewer(context["user"])}


@register.filter
def roles_of_reviewer(user: Any) -> dict[str, bool]:
    """role name → whether the person has it, for what only some may do on a page."""
    return {role.value: isinstance(user, User) and user.has_role(role) for role in Role}
