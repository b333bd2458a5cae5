"""What templates of reviewing call: the tabs that a person's roles open, and names of what code knows by a word."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.template.context import RequestContext
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import pgettext_lazy

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.catalog.marked_text import render_marked
from portal.feedback.models import Submission
from portal.feedback.question_display import marks_in
from portal.playground.models import Generation
from portal.reviews.agreement import Metric
from portal.reviews.queries.queue_page import Choice

register = template.Library()
_SELECTED: Final = mark_safe(" selected")
_SCALES: Final[dict[Metric, Promise]] = {
    Metric.NOMINAL: pgettext_lazy("scale of measurement", "nominal"),
    Metric.ORDINAL: pgettext_lazy("scale of measurement", "ordinal"),
    Metric.INTERVAL: pgettext_lazy("scale of measurement", "interval"),
}


@register.inclusion_tag("reviews/tabs.html", takes_context=True)
def review_tabs(context: RequestContext, here: str = "") -> dict[str, Any]:
    """The tabs above every page of reviewing; `here` names the open one."""
    return {"here": here, "review_roles": roles_of_reviewer(context["user"])}


@register.simple_tag
def options(choice: Choice) -> SafeString:
    """A filter's choices as a select's options. There may be hundreds, of which a template makes a thousand nodes."""
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((value, _SELECTED if is_chosen else "", label) for value, label, is_chosen in choice.options),
    )


@register.filter
def roles_of_reviewer(user: Any) -> dict[str, bool]:
    """role name → whether the person has it, for what only some may do on a page."""
    return {role.value: isinstance(user, User) and user.has_role(role) for role in Role}


@register.simple_tag
def answer_with_marks(run: Generation, submission: Submission) -> SafeString:
    """The run's answer as safe HTML, with the passages that the submission marks in it."""
    return render_marked(run.output, marks_in(submission, run.output))


@register.filter
def scale_name(metric: Metric) -> Promise:
    """The scale on which alpha was taken."""
    return _SCALES[metric]
