"""Start and cancel generations: check, write the row, and wake a worker once the row is committed."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, ParamSpec

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.limits import LimitExceeded, check_rate
from portal.accounts.transaction_turns import wait_for_turn
from portal.catalog.access import require_access
from portal.catalog.models import Variant
from portal.playground.dispatch import dispatch_soon, first_redispatch
from portal.playground.models import Conversation, Generation, Kind
from portal.playground.prompt_messages import Overflow, fitted, turns_before
from portal.playground.quota import Quota, count_under_way, read_quotas, require_quota
from portal.playground.text_limits import text_errors

TITLE_CHARACTERS: Final = 80
RETRY_WHEN_BUSY_S: Final = 5
# Fits JavaScript's exact integers, so that a seed survives a round trip through any client.
GENERATED_SEED_BITS: Final = 48
Asked = ParamSpec("Asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a run takes from an earlier one.

    `rerun_of` is repeated as it was. `branched_from` gives the tokens of its answer before number `branch_token`;
    `opening` is these and another choice for that token, [{id, text}].
    """

    rerun_of: Generation | None = None
    branched_from: Generation | None = None
    branch_token: int | None = None
    opening: tuple[dict[str, Any], ...] = ()


NOWHERE: Final = Origin()


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for, checked."""

    actor: Actor
    variant: Variant
    prompt: str
    params: SamplingParams
    kind: Kind
    origin: Origin
    messages: Sequence[dict[str, Any]]
    dropped_turns: int
    is_further_turn: bool


@dataclass(frozen=True, slots=True)
class PreparedGeneration:
    """A prompt that was checked and counted: nothing is written yet. `earlier` is the run that its key began before."""

    order: _Order
    system_prompt: str | None
    conversation: Conversation | None
    parent: Generation | None
    request_key: uuid.UUID | None
    earlier: Generation | None = None

    def start(self) -> Generation:
        """Queue it. Raises ValidationError and LimitExceeded."""
        return self.start_counted()[0]

    def start_counted(self) -> tuple[Generation, tuple[Quota, ...]]:
        """As `start`, with the actor's quotas as they stand with it: they were read to allow it."""
        actor = self.order.actor
        if self.earlier is not None:
            return self.earlier, read_quotas(actor)
        try:
            return _start(self.order, self.system_prompt, self.conversation, self.parent, self.request_key)
        except IntegrityError:
            # Two actors sent one new key at the same moment.
            if self.request_key is not None and (earlier := _earlier_generation(actor, self.request_key)):
                return earlier, read_quotas(actor)
            raise


def prepare_generation(
    actor: Actor,
    *,
    variant: Variant,
    prompt: str,
    params: SamplingParams,
    system_prompt: str | None = None,
    history: Sequence[Message] = (),
    conversation: Conversation | None = None,
    parent: Generation | None = None,
    request_key: uuid.UUID | None = None,
    kind: Kind = Kind.CHAT,
    origin: Origin = NOWHERE,
    overflow: Overflow = Overflow.LET_ENGINE_DECIDE,
) -> PreparedGeneration:
    """Check a prompt that is to be queued, and count it: before any transaction, since counting takes a while.

    `start` queues it; the same `request_key` again returns the run that it started.

    Without `conversation` a new one begins, with `system_prompt`; an existing one keeps its own for None, and "" takes
    it away. `parent` is the turn that this one follows; without it the run stands beside the conversation's first.

    A `kind` other than chat reads the prompt alone, as it stands. `origin` says what the run takes from an earlier one.

    `history` instead of these is a chat that began elsewhere: the model reads it before the prompt exactly as it is, in
    a new conversation, whose system prompt is the system message that opens it, if any.

    Raises ValidationError naming the field and the limit (`context` for a prompt that `overflow` refuses), and
    LimitExceeded when the actor has too much under way or has used up a quota; GateClosed where the card's gate is
    closed to the actor.
    """
    earlier = _earlier_generation(actor, request_key) if request_key is not None else None
    if earlier is not None:
        order = _Order(actor, variant, prompt, params, kind, origin, (), 0, is_further_turn=False)
        return PreparedGeneration(order, system_prompt, conversation, parent, request_key, earlier)
    if history:
        if conversation is not None or system_prompt is not None:
            raise ValueError("history: begins a conversation of its own, with its own system prompt")
        system_prompt = history[0].content if history[0].role == "system" else None
    require_access(actor.user, variant.card)
    _require_valid(variant, prompt, params, system_prompt or "", history, conversation, parent)
    check_rate(actor, "generations", settings.GENERATION_RATE)
    source = origin.rerun_of or origin.branched_from
    if source is not None:
        messages, dropped = source.messages, source.dropped_turns
    else:
        asked = {"role": "user", "content": prompt}
        before = turns_before(conversation, system_prompt, parent, history) if kind == Kind.CHAT else []
        messages, dropped = fitted(variant, [*before, asked], params.max_tokens, overflow, kind)
        dropped += parent.dropped_turns if parent is not None else 0
    order = _Order(actor, variant, prompt, params, kind, origin, messages, dropped, bool(parent or history))
    return PreparedGeneration(order, system_prompt, conversation, parent, request_key)


def _starting(prepare: Callable[Asked, PreparedGeneration]) -> Callable[Asked, Generation]:
    def start(*args: Asked.args, **kwargs: Asked.kwargs) -> Generation:
        """`prepare_generation` and `start` at once, for who holds no transaction."""
        return prepare(*args, **kwargs).start()

    return start


start_generation = _starting(prepare_generation)


def _start(
    order: _Order,
    system_prompt: str | None,
    conversation: Conversation | None,
    parent: Generation | None,
    request_key: uuid.UUID | None,
) -> tuple[Generation, tuple[Quota, ...]]:
    actor, params, origin = order.actor, order.params, order.origin
    with transaction.atomic():
        _serialise_starts(actor)
        if request_key is not None and (earlier := _earlier_generation(actor, request_key)):
            return earlier, read_quotas(actor)
        quotas = require_room(actor)
        if conversation is None:
            conversation = Conversation.objects.create(
                title=_title(order.prompt), system_prompt=system_prompt or "", **actor.ownership()
            )
        else:
            _continue(conversation, actor, system_prompt, order.prompt)
        # A seed is drawn and stored where none was chosen, so that every run can be repeated.
        seed = params.seed if params.seed is not None else secrets.randbits(GENERATED_SEED_BITS)
        generation = Generation.objects.create(
            conversation=conversation,
            parent=parent,
            variant=order.variant,
            request_key=request_key or uuid.uuid4(),
            kind=order.kind,
            api_token=actor.api_token,
            prompt=order.prompt,
            messages=list(order.messages),
            dropped_turns=order.dropped_turns,
            params=replace(params, seed=seed).as_mapping(),
            # A further turn may be read from what its worker remembers, which is quicker and rounds differently.
            is_repeatable=params.seed is not None or not order.is_further_turn,
            opening=list(origin.opening),
            branched_from=origin.branched_from,
            branch_token=origin.branch_token,
            rerun_of=origin.rerun_of,
            dispatch_after=first_redispatch(),
        )
        dispatch_soon(generation)
    return generation, tuple(quota.with_run(params.max_tokens) for quota in quotas)


def cancel_generation(generation: Generation) -> bool:
    """Stop a generation; False when it had ended already. A running one stops within a step of its worker."""
    return generation.request_cancel()


def _continue(conversation: Conversation, actor: Actor, system_prompt: str | None, prompt: str) -> None:
    """Touch only what changes: since it was loaded, the conversation may have gone over to who signed in."""
    changes: dict[str, Any] = {}
    if system_prompt is not None:
        changes["system_prompt"] = conversation.system_prompt = system_prompt
    if not conversation.title:
        changes["title"] = conversation.title = _title(prompt)
    own = Conversation.objects.filter(actor.owns(), pk=conversation.pk, deleted_at__isnull=True)
    if not own.update(updated_at=timezone.now(), **changes):
        raise ValidationError({"conversation": [_("This conversation is no longer yours here. Reload the page.")]})


def _earlier_generation(actor: Actor, request_key: uuid.UUID) -> Generation | None:
    earlier = Generation.objects.select_related("conversation").filter(request_key=request_key).first()
    if earlier is None:
        return None
    if not Conversation.objects.filter(actor.owns(), pk=earlier.conversation_id).exists():
        raise ValidationError({"request_key": [_("This key was used already. Reload the page and send again.")]})
    return earlier


def _require_valid(
    variant: Variant,
    prompt: str,
    params: SamplingParams,
    system_prompt: str,
    history: Sequence[Message],
    conversation: Conversation | None,
    parent: Generation | None,
) -> None:
    errors = text_errors("prompt", prompt, settings.MAX_PROMPT_CHARACTERS)
    for message in history:
        errors |= text_errors("history", message.content, settings.MAX_PROMPT_CHARACTERS)
    errors |= text_errors("system_prompt", system_prompt, settings.MAX_SYSTEM_PROMPT_CHARACTERS)
    if not prompt.strip():
        errors["prompt"] = [_("Write a prompt.")]
    if params.max_tokens > settings.MAX_OUTPUT_TOKENS:
        errors["max_tokens"] = [_("At most %(limit)d tokens per answer here.") % {"limit": settings.MAX_OUTPUT_TOKENS}]
    if not variant.is_runnable:
        errors["variant"] = [_("%(variant)s cannot run here at present.") % {"variant": variant.model_id}]
    if parent is not None and (conversation is None or parent.conversation_id != conversation.pk):
        errors["parent"] = [_("The turn to follow belongs to another conversation.")]
    elif parent is not None and parent.is_active:
        errors["parent"] = [_("The answer before is still being written. Wait for it, or stop it.")]
    if errors:
        raise ValidationError(errors)


def _serialise_starts(actor: Actor) -> None:
    """Make this actor's starts wait for each other."""
    wait_for_turn(actor.user.pk if actor.user is not None else actor.visitor.int if actor.visitor is not None else 0)


def require_room(actor: Actor) -> tuple[Quota, ...]:
    """The actor's quotas. Raises LimitExceeded with too much under way, or with one that is used up. Counts nothing."""
    under_way = count_under_way(actor)
    if under_way >= settings.MAX_CONCURRENT_GENERATIONS:
        raise LimitExceeded(
            "concurrent_generations",
            RETRY_WHEN_BUSY_S,
            _("You have %(count)d answers under way, the most at a time. Wait for one or stop one.")
            % {"count": under_way},
        )
    return require_quota(actor)


def _title(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
