"""`/api/v1/generations/`: start runs, read them, stop them, and run them again; one's own alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http import HTTPMethod
from typing import Any, Final

from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from rest_framework.request import Request

from portal.api import schema
from portal.api.idempotency import Done, do_prepared_once, do_to_once
from portal.api.operation import operation
from portal.api.own_things import NoMembers, OwnRows, OwnView, answer_done, own_scopes, read_body
from portal.api.paging import read_newest_page
from portal.api.problems import placing
from portal.api.runs.bodies import (
    AGAIN_EXAMPLE,
    BRANCH_EXAMPLE,
    PLACES,
    RUN_EXAMPLE,
    AgainBody,
    BranchBody,
    RunBody,
    prepare_run,
    start_again,
    start_run,
)
from portal.api.runs.generation_rows import (
    DETAIL_FIELDS,
    EXAMPLE_GENERATION,
    EXPANDABLE,
    GENERATION_EXAMPLE,
    GENERATION_FIELDS,
    QUEUED_EXAMPLE,
    GenerationDetailPartSerializer,
    GenerationDetailSerializer,
    GenerationPageSerializer,
    generation_detail,
    generation_row,
)
from portal.playground.access import get_conversation, get_generation
from portal.playground.branching import continue_from_token
from portal.playground.models import Generation, Kind, State
from portal.playground.queries import own_generations
from portal.playground.rerunning import rerun_generation
from portal.playground.services import cancel_generation

ID: Final = schema.in_path("generation_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))
STARTED: Final[dict[Any, Any]] = {201: GenerationDetailSerializer, **schema.problems(404, 413, 415, 422)}


_ROWS: Final = OwnRows(
    name="generations",
    page=GenerationPageSerializer,
    row=GenerationDetailPartSerializer,
    fields=GENERATION_FIELDS,
    detail_fields=DETAIL_FIELDS,
    expandable=EXPANDABLE,
    detail_expandable=EXPANDABLE,
    listed=EXAMPLE_GENERATION,
    example=GENERATION_EXAMPLE,
)


class GenerationView(OwnView):
    """What the addresses of a run share."""

    def _shown(self, generation_id: uuid.UUID) -> dict[str, Any]:
        """Raises Http404."""
        return generation_detail(get_generation(self.actor, generation_id))

    def _do_once(self, request: Request, generation_id: uuid.UUID, act: Callable[[Generation], Done]) -> Done:
        return do_to_once(request, self.actor, lambda: get_generation(self.actor, generation_id), act)


class GenerationList(GenerationView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST)

    @_ROWS.in_pages(
        schema.query("conversation", {"type": "string", "format": "uuid"}, gettext_lazy("Only of this one.")),
        schema.query("state", {"type": "string", "enum": list(State.values)}, gettext_lazy("Only in this state.")),
        schema.query("kind", {"type": "string", "enum": list(Kind.values)}, gettext_lazy("Only of this kind.")),
        refusals=(404,),
        summary="Your runs",
        description="The last asked first.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = request.query_params
        runs = own_generations(self.actor)
        runs = runs.filter(**{name: asked[name] for name in ("state", "kind") if name in asked})
        if "conversation" in asked:
            runs = runs.filter(conversation=get_conversation(self.actor, uuid.UUID(asked["conversation"])))
        page, following = read_newest_page(request, runs)
        return self._page(request, [generation_row(each) for each in page], following, GENERATION_FIELDS)

    @operation(
        operation_id="generations_create",
        summary="Start a run",
        description=(
            "Queues a prompt, in a conversation or in a new one. The answer is the run as it waits: follow its events, "
            "or read it again."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=RunBody,
        responses=STARTED,
        examples=[RUN_EXAMPLE, QUEUED_EXAMPLE],
        tags=["generations"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        done = do_prepared_once(
            request,
            self.actor,
            lambda: prepare_run(self.actor, read_body(request, RunBody)),
            lambda run: Done(201, str(start_run(run).pk)),
        )
        return answer_done(done, self._shown, "generation-detail")


class GenerationDetail(GenerationView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)

    @_ROWS.alone(
        ID,
        summary="One run",
        description="Its state, its place in the queue while it waits, its answer and figures once it has ended.",
    )
    def get(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        return self._alone(request, self._shown(generation_id), DETAIL_FIELDS)


class GenerationCancel(GenerationView):
    scopes = own_scopes(HTTPMethod.POST)

    @operation(
        operation_id="generations_cancel",
        summary="Stop a run",
        description="One that waits stops at once, one that runs within a step; one that has ended stays as it is.",
        parameters=[ID, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: GenerationDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[GENERATION_EXAMPLE],
        tags=["generations"],
    )
    def post(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        def cancel(generation: Generation) -> Done:
            read_body(request, NoMembers)
            cancel_generation(generation)
            return Done(200, str(generation_id))

        return answer_done(self._do_once(request, generation_id, cancel), self._shown)


class GenerationAgain(GenerationView):
    scopes = own_scopes(HTTPMethod.POST)

    @operation(
        operation_id="generations_again",
        summary="Answer its prompt once more",
        description="Starts a sibling: by the same variant and parameters with a new seed, or by those given.",
        parameters=[ID, schema.IDEMPOTENCY_KEY],
        request=AgainBody,
        responses=STARTED,
        examples=[AGAIN_EXAMPLE, QUEUED_EXAMPLE],
        tags=["generations"],
    )
    def post(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        def start(generation: Generation) -> Done:
            given = read_body(request, AgainBody)
            return Done(201, str(start_again(self.actor, generation, given).pk))

        return answer_done(self._do_once(request, generation_id, start), self._shown, "generation-detail")


class GenerationRerun(GenerationView):
    scopes = own_scopes(HTTPMethod.POST)

    @operation(
        operation_id="generations_rerun",
        summary="Repeat it exactly",
        description="Starts a sibling with the same messages, parameters, seed and given beginning.",
        parameters=[ID, schema.IDEMPOTENCY_KEY],
        request=None,
        responses=STARTED,
        examples=[QUEUED_EXAMPLE],
        tags=["generations"],
    )
    def post(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        def rerun(generation: Generation) -> Done:
            read_body(request, NoMembers)
            with placing(PLACES):
                started = rerun_generation(self.actor, generation)
            return Done(201, str(started.pk))

        return answer_done(self._do_once(request, generation_id, rerun), self._shown, "generation-detail")


class GenerationBranch(GenerationView):
    scopes = own_scopes(HTTPMethod.POST)

    @operation(
        operation_id="generations_branch",
        summary="Go on from another token",
        description="Starts a sibling that has the answer's tokens before `token`, and there the alternative.",
        parameters=[ID, schema.IDEMPOTENCY_KEY],
        request=BranchBody,
        responses=STARTED,
        examples=[BRANCH_EXAMPLE, QUEUED_EXAMPLE],
        tags=["generations"],
    )
    def post(self, request: Request, generation_id: uuid.UUID) -> HttpResponseBase:
        def branch(generation: Generation) -> Done:
            given = read_body(request, BranchBody)
            with placing(PLACES):
                started = continue_from_token(self.actor, generation, **given)
            return Done(201, str(started.pk))

        return answer_done(self._do_once(request, generation_id, branch), self._shown, "generation-detail")
