"""`/api/v1/battles/`: a prompt to two variants without names, one vote, and then the names."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Final

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework.request import Request

from portal.accounts.idle_connections import give_connection_back
from portal.api import schema
from portal.api.contests.bodies import (
    BATTLE_BODY_EXAMPLE,
    BATTLE_VOTE_EXAMPLE,
    TURN_EXAMPLE,
    BattleBody,
    BattleVoteBody,
    TurnBody,
)
from portal.api.contests.rows import (
    BATTLE_DETAIL_FIELDS,
    BATTLE_EXAMPLE,
    BATTLE_FIELDS,
    EXAMPLE_BATTLE,
    EXPANDABLE,
    LIST_EXPANDABLE,
    BattleDetailPartSerializer,
    BattleDetailSerializer,
    BattlePageSerializer,
)
from portal.api.contests.views import ID, PLACES, ContestRows, ContestView
from portal.api.idempotency import Done
from portal.api.negotiation import EventStreamRenderer
from portal.api.operation import operation
from portal.api.own_things import answer_once, own_scopes, read_body
from portal.api.problems import placing
from portal.api.runs.bodies import refusal
from portal.api.runs.trace_views import bad_last_event_id
from portal.arena.access import get_battle_runs
from portal.arena.blind_stream import blind_response
from portal.arena.lockstep import Mark
from portal.arena.models import Contest, Kind, Outcome, Pool
from portal.arena.queries import pools_with_pairs
from portal.arena.services import begin_battle
from portal.arena.voting import vote_on_battle

_ROWS: Final = ContestRows(
    name="battles",
    page=BattlePageSerializer,
    row=BattleDetailPartSerializer,
    fields=BATTLE_FIELDS,
    detail_fields=BATTLE_DETAIL_FIELDS,
    expandable=LIST_EXPANDABLE,
    detail_expandable=EXPANDABLE,
    listed=EXAMPLE_BATTLE,
    example=BATTLE_EXAMPLE,
    whole=BattleDetailSerializer,
)
_MARK: Final = r"[0-9]{1,9}\.[0-9]{1,9}-[0-9]{1,9}\.[0-9]{1,9}"


class BattleList(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST)

    @_ROWS.in_pages(
        summary="Your battles",
        description="The last begun first.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self._list(request, BATTLE_FIELDS)

    @_ROWS.made(
        "create",
        BattleBody,
        BATTLE_BODY_EXAMPLE,
        summary="Begin a battle",
        description="Draws two variants of the pool and queues a run for each.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        def act() -> Done:
            given = read_body(request, BattleBody)
            pool = _pool(given.get("pool"))
            with placing(PLACES):
                begun = begin_battle(self.actor, pool, prompt=given["prompt"], request_key=uuid.uuid4())
            return Done(201, str(begun.pk))

        return answer_once(request, self.actor, act, self._shown, "battle-detail")


class BattleDetail(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)

    @_ROWS.alone(
        ID,
        summary="One battle with its turns",
        description="While it is blind there are no contenders, and no answer before both are whole.",
    )
    def get(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._alone(request, self._shown(contest_id), BATTLE_DETAIL_FIELDS)


class BattleTurns(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.made(
        "send",
        TurnBody,
        TURN_EXAMPLE,
        summary="Send both the next prompt",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._send(request, contest_id)


class BattleStop(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.stopped(
        summary="Stop both answers",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        return self._stop(request, contest_id)


class BattleVote(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.POST)

    @_ROWS.made(
        "vote",
        BattleVoteBody,
        BATTLE_VOTE_EXAMPLE,
        summary="Vote, and see the names",
        description="Once; a second vote is a 409.",
    )
    def post(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def vote(contest: Contest) -> Done:
            outcome = Outcome(read_body(request, BattleVoteBody)["outcome"])
            with placing({}):
                vote_on_battle(self.actor, contest, outcome)
            return Done(201, str(contest_id))

        return self._do_once(request, contest_id, vote)


class BattleEvents(ContestView):
    kind = Kind.BATTLE
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)
    renderer_classes = [EventStreamRenderer]

    @operation(
        operation_id="battles_events",
        summary="Follow both answers",
        description=(
            "Server-sent events of the latest turn: `reading` (both runs have begun), `text` and `reset` (forget "
            "what came) of a side, `end` of a side, and `done`. Neither side is ahead of the other. "
            "`Last-Event-ID` goes on behind that event."
        ),
        parameters=[ID, schema.last_event_id(_MARK)],
        responses={
            **schema.event_stream(("reading", "text", "reset", "end", "done")),
            **schema.problems(404),
        },
        examples=[schema.event_example("1.2-1.2", "text", {"side": "a", "text": "A "})],
        tags=["battles"],
    )
    def get(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        runs = get_battle_runs(self.actor, contest_id)
        offered = request.headers.get(schema.LAST_EVENT_ID)
        try:
            seen = Mark.parse(offered) if offered is not None else Mark()
        except ValueError as error:
            raise bad_last_event_id(error) from error
        give_connection_back()
        return blind_response(runs, seen, request.method)


def _pool(slug: str | None) -> Pool:
    """The open pool of this name, else the first in which two variants can meet. Raises Problem."""
    pools = [pool for pool, variants in pools_with_pairs() if variants]
    found = next((pool for pool in pools if slug is None or pool.slug == slug), None)
    if found is None:
        names = ", ".join(pool.slug for pool in pools) or _("none")
        raise refusal(_("No two variants can meet there at present. Pools in which they can: %s.") % names, ("pool",))
    return found
