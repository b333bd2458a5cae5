"""What the addresses of comparisons and of battles share: lists, one, its next turn, and stopping it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request

from portal.api import schema
from portal.api.contests.bodies import TurnBody
from portal.api.contests.rows import contest_detail, contest_row, expand_contests
from portal.api.idempotency import Done, do_to_once
from portal.api.operation import Described, operation
from portal.api.own_things import NoMembers, OwnRows, OwnView, answer_done, read_body
from portal.api.paging import read_newest_page
from portal.api.problems import placing
from portal.api.row_answers import SerializerClass
from portal.arena.access import get_contest
from portal.arena.models import Contest, Kind
from portal.arena.queries import described_contests
from portal.arena.services import send_turn, stop_contest

ID: Final = schema.in_path("contest_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))
# Where the services' fields stand in the bodies.
PLACES: Final[Mapping[str, tuple[object, ...]]] = {
    "context": ("prompt",),
    "variant": ("contenders",),
    "max_tokens": ("contenders",),
}
_CONFLICTS: Final = 409


@dataclass(frozen=True, slots=True)
class ContestRows(OwnRows):
    """`whole` is what a change answers with."""

    whole: SerializerClass

    def made(self, verb: str, body: SerializerClass, *examples: OpenApiExample, **said: Any) -> Described:
        """The operation that begins one, sends it a prompt or votes on it."""
        answers: dict[Any, Any] = {201: self.whole, **schema.problems(404, _CONFLICTS, 413, 415, 422)}
        return self._posted(verb, body, answers, examples, **said)

    def stopped(self, **said: Any) -> Described:
        """The operation that stops its answers."""
        return self._posted("stop", None, {200: self.whole, **schema.problems(404, 413, 415, 422)}, (), **said)

    def _posted(
        self,
        verb: str,
        body: SerializerClass | None,
        answers: Mapping[Any, Any],
        examples: Sequence[OpenApiExample],
        **said: Any,
    ) -> Described:
        return operation(
            operation_id=f"{self.name}_{verb}",
            parameters=[*([] if verb == "create" else [ID]), schema.IDEMPOTENCY_KEY],
            request=body,
            responses=answers,
            examples=[*examples, self.example],
            tags=[self.name],
            **said,
        )


class ContestView(OwnView):
    kind: ClassVar[Kind]

    def _shown(self, contest_id: uuid.UUID) -> dict[str, Any]:
        """Raises Http404."""
        contest = described_contests(self.actor, self.kind).filter(pk=contest_id).first()
        if contest is None:
            raise Http404
        return contest_detail(contest)

    def _list(self, request: Request, members: tuple[str, ...]) -> HttpResponseBase:
        page, following = read_newest_page(request, described_contests(self.actor, self.kind))
        return self._page(request, [contest_row(each) for each in page], following, members)

    def _expanded(self, rows: Sequence[dict[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
        return expand_contests(self.actor, rows, names)

    def _send(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def send(contest: Contest) -> Done:
            prompt = read_body(request, TurnBody)["prompt"]
            with placing(PLACES):
                send_turn(self.actor, contest, prompt=prompt, request_key=uuid.uuid4())
            return Done(201, str(contest_id))

        return self._do_once(request, contest_id, send)

    def _stop(self, request: Request, contest_id: uuid.UUID) -> HttpResponseBase:
        def stop(contest: Contest) -> Done:
            read_body(request, NoMembers)
            stop_contest(contest)
            return Done(200, str(contest_id))

        return self._do_once(request, contest_id, stop)

    def _do_once(self, request: Request, contest_id: uuid.UUID, act: Callable[[Contest], Done]) -> HttpResponseBase:
        def find() -> Contest:
            return get_contest(self.actor, contest_id, self.kind)

        return answer_done(do_to_once(request, self.actor, find, act), self._shown)
