"""What the templates say about a run: its answer as safe HTML, its figures, why it ended."""

from __future__ import annotations

import uuid
from typing import Final

from django import template
from django.conf import settings
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from inference.events import FinishReason
from portal.catalog.markdown import render_markdown
from portal.playground import tab_changes
from portal.playground.models import Conversation, Generation
from portal.playground.queries import RunFigures, run_figures
from portal.playground.queue_position import QueuePosition, queue_position

register = template.Library()

_FINISH_WORDS: Final[dict[str, str | Promise]] = {
    FinishReason.STOP: _("The model ended its answer"),
    FinishReason.LENGTH: _("Cut at max tokens (%(max_tokens)s)"),
    FinishReason.CANCELLED: _("Stopped by you"),
    FinishReason.DEADLINE: _("Cut at the time limit (%(seconds)d s)"),
}


@register.filter
def answer_html(generation: Generation) -> SafeString:
    """The answer's Markdown, safe on any page."""
    return render_markdown(generation.output)


@register.filter
def title_mark(conversation: Conversation) -> str:
    """What a tab keeps of the title, to hear of another."""
    return tab_changes.title_mark(conversation)


@register.filter
def figures(generation: Generation) -> RunFigures:
    return run_figures(generation)


@register.filter
def place_in_queue(generation: Generation) -> QueuePosition:
    return queue_position(generation)


@register.filter
def finish_words(generation: Generation) -> str:
    """Why the answer ended, for a person; the reason itself where no words are known."""
    words = str(_FINISH_WORDS.get(generation.finish_reason, generation.finish_reason))
    return words % {
        "max_tokens": generation.params.get("max_tokens"),
        "seconds": settings.GENERATION_DEADLINE_S,
    }


@register.filter
def percent(value: float | None) -> str:
    """A probability as people read it: `97.3 %`, `0.04 %`, `< 0.001 %`."""
    if value is None:
        return "-"
    if 0 < value < 0.00001:
        return "< 0.001 %"
    digits = 1 if value >= 0.01 else 3
    return f"{100 * value:.{digits}f} %"


@register.filter
def visible(text: str) -> str:
    """A token's text with its spaces and line ends in view."""
    return text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥") or "∅"


@register.simple_tag
def new_request_key() -> uuid.UUID:
    """A key for a form that starts a run: sent twice, it starts one."""
    return uuid.uuid4()


@register.filter
def seconds(value: float) -> str:
    """`0.42`, `3.1`, `58`: three figures at most, the unit stands in the template."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
