"""One change to a questionnaire's draft, and how it is answered: the whole questionnaire as it is then."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from portal.api import schema
from portal.api.conditions import precondition_failed, require_version, wants_unchanged
from portal.api.given_question import refused
from portal.api.idempotency import Done
from portal.api.problems import Problem
from portal.api.questionnaire_rows import MEMBERS, SLUG, questionnaire_row
from portal.api.row_answers import done_headers, row_answer
from portal.feedback.models import Questionnaire
from portal.feedback.questionnaire_services import DraftConflict

QUESTIONNAIRE_PATH: Final = [
    schema.in_path("slug", {"type": "string", "pattern": SLUG, "maxLength": 80}, gettext_lazy("Its name.")),
    schema.in_path("version", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, gettext_lazy("Its version.")),
]


def change_draft(request: Request, draft: Questionnaire, step: Callable[[], object]) -> None:
    """Do `step` to the draft as it was read. Raises Problem: refused, or somebody else was faster."""
    revision = draft.revision
    require_version(request, revision)
    try:
        step()
    except ValidationError as error:
        raise refused(error) from error
    except DraftConflict as conflict:
        if wants_unchanged(request):
            raise precondition_failed(revision) from conflict
        raise Problem("version-conflict", _("Somebody else changed this draft meanwhile. Read it again.")) from conflict


def questionnaire_answer(request: Request, done: Done, members: Collection[str] = MEMBERS) -> HttpResponse:
    """The questionnaire that something was done to."""
    found = get_object_or_404(Questionnaire.objects.prefetch_related("questions"), pk=done.made)
    address = reverse("api:questionnaire-detail", args=[found.slug, found.version])
    return row_answer(
        request,
        questionnaire_row(found),
        members,
        version=found.revision,
        status=done.status,
        headers=done_headers(done, address),
    )
