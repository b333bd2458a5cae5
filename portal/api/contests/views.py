"""What the addresses of comparisons and of battles share: lists, one, its next turn, and stopping it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from portal.api import schema
from portal.api.conditions import tagged_unless_known
from portal.api.contests.bodies import TurnBody
from portal.api.contests.rows import EXPANDABLE, LIST_EXPANDABLE, contest_detail, contest_row, expand_contests
from portal.api.expansion import read_expand
from portal.api.feedback_views import ApiView
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done
from portal.api.own_things import NoMembers, answer_once, read_body
from portal.api.paging import read_newest_page
from portal.api.problems import placing
from portal.arena.access import get_contest
from portal.arena.models import Kind
from portal.arena.queries import described_contests
from portal.arena.services import send_turn, stop_contest

ID: Final = schema.in_path("contest_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))
# Where the services' fields stand in the bodies.
PLACES: Final[Mapping[str, tuple[object, ...]]] = {
    "context": ("prompt",),
    "variant": ("contenders",),
    "max_tokens": ("contenders",),
}


class ContestView(ApiView):
    kind: ClassVar[Kind]

    def _shown(self, contest_id: uuid.UUID) -> dict[str, Any]:
        """Raises Http404."""
        contest = described_contests(self.actor, self.kind).filter(pk=contest_id).first()
        if contest is None:
            raise Http404
        return contest_detail(contest)

    def _list(self, request: Request, members: tuple[str, ...]) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), members)
        expand = read_expand(request.query_params.get("expand"), LIST_EXPANDABLE)
        page, following = read_newest_page(request, described_contests(self.actor, self.kind))
        rows = [contest_row(each) for each in page]
        expand_contests(self.actor, rows, expand)
        return tagged_unless_known(request, {"results": [only_fields(row, fields) for row in rows], "next": following})

    def _one(self, request: Request, contest_id: uuid.UUID, members: tuple[str, ...]) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), members)
        expand = read_expand(request.query_params.get("expand"), EXPANDABLE)
        row = self._shown(contest_id)
        expand_contests(self.actor, [row], expand)
        return tagged_unless_known(request, row, fields)

    def _send(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def act() -> Done:
            prompt = read_body(request, TurnBody)["prompt"]
            with placing(PLACES):
                contest = get_contest(self.actor, contest_id, self.kind)
                send_turn(self.actor, contest, prompt=prompt, request_key=uuid.uuid4())
            return Done(201, str(contest_id))

        return answer_once(request, self.actor, act, self._shown)

    def _stop(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def act() -> Done:
            read_body(request, NoMembers)
            stop_contest(get_contest(self.actor, contest_id, self.kind))
            return Done(200, str(contest_id))

        return answer_once(request, self.actor, act, self._shown)
