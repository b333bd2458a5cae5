"""`/api/v1/comparisons/`: the same prompts to two to four variants or parameter sets, side by side, and a vote."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Final

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from portal.api.contests.bodies import (
    COMPARISON_BODY_EXAMPLE,
    COMPARISON_VOTE_EXAMPLE,
    TURN_EXAMPLE,
    ComparisonBody,
    ComparisonVoteBody,
    TurnBody,
    read_entries,
    read_verdict,
)
from portal.api.contests.rows import (
    COMPARISON_DETAIL_FIELDS,
    COMPARISON_EXAMPLE,
    COMPARISON_FIELDS,
    EXAMPLE_COMPARISON,
    EXPANDABLE,
    LIST_EXPANDABLE,
    ComparisonDetailPartSerializer,
    ComparisonDetailSerializer,
    ComparisonPageSerializer,
)
from portal.api.contests.views import ID, PLACES, ContestRows, ContestView
from portal.api.idempotency import Done
from portal.api.own_things import answer_once, own_scopes, read_body
from portal.api.problems import placing
from portal.arena.models import Contest, Kind
from portal.arena.queries import latest_replies
from portal.arena.services import begin_side_by_side
from portal.arena.voting import vote_side_by_side

_ROWS: Final = ContestRows(
    name="comparisons",
    page=ComparisonPageSerializer,
    row=ComparisonDetailPartSerializer,
    fields=COMPARISON_FIELDS,
    detail_fields=COMPARISON_DETAIL_FIELDS,
    expandable=LIST_EXPANDABLE,
    detail_expandable=EXPANDABLE,
    listed=EXAMPLE_COMPARISON,
    example=COMPARISON_EXAMPLE,
    whole=ComparisonDetailSerializer,
)


class ComparisonList(ContestView):
    kind = Kind.SIDE_BY_SIDE
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST)

    @_ROWS.in_pages(
        summary="Your comparisons",
        description="The last begun first.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self._list(request, COMPARISON_FIELDS)

    @_ROWS.made(
        "create",
        ComparisonBody,
        COMPARISON_BODY_EXAMPLE,
        summary="Compare answers to a prompt",
        description="Queues one run for each contender, all or none. Follow each by its own events.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        def act() -> Done:
            given = read_body(request, ComparisonBody)
            entries = read_entries(self.actor, given["contenders"])
            texts = {name: given[name] for name in ("prompt", "system_prompt") if name in given}
            with placing(PLACES):
                begun = begin_side_by_side(self.actor, entries, **texts, request_key=uuid.uuid4())
            return Done(201, str(begun.pk))

        return answer_once(request, self.actor, act, self._shown, "comparison-detail")


class ComparisonDetail(ContestView):
    kind = Kind.SIDE_BY_SIDE
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)

    @_ROWS.alone(
        ID,
        summary="One comparison with its turns",
    )
    def get(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._alone(request, self._shown(contest_id), COMPARISON_DETAIL_FIELDS)


class ComparisonTurns(ContestView):
    kind = Kind.SIDE_BY_SIDE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.made(
        "send",
        TurnBody,
        TURN_EXAMPLE,
        summary="Send all of them the next prompt",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._send(request, contest_id)


class ComparisonStop(ContestView):
    kind = Kind.SIDE_BY_SIDE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.stopped(
        summary="Stop all answers",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._stop(request, contest_id)


class ComparisonVote(ContestView):
    kind = Kind.SIDE_BY_SIDE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.made(
        "vote",
        ComparisonVoteBody,
        COMPARISON_VOTE_EXAMPLE,
        summary="Vote on a turn",
        description="Once on each; a second vote is a 409. The names were known, so it is not ranked.",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def vote(contest: Contest) -> Done:
            given = read_body(request, ComparisonVoteBody)
            turn = given["turn"] if "turn" in given else latest_replies(contest)[0].turn
            reasons = list(dict.fromkeys(given.get("reasons", ())))
            with placing({}):
                vote_side_by_side(self.actor, contest, turn, read_verdict(given["verdict"]), reasons)
            return Done(201, str(contest_id))

        return self._do_once(request, contest_id, vote)
