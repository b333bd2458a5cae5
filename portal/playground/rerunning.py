"""Run something again as it was, and say whether the same came out, where it parts, and why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.utils.translation import gettext as _

from inference.events import FinishReason
from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.catalog.models import Variant
from portal.playground.models import Generation, Kind, State
from portal.playground.queries import trace_tokens
from portal.playground.services import Origin, start_generation

_MAX_NAMED: Final = 5
Which = Literal["earlier", "later"]


def rerun_generation(actor: Actor, generation: Generation, *, request_key: uuid.UUID | None = None) -> Generation:
    """Start the same run once more, as a sibling: same messages, parameters, seed and given beginning.

    Raises as `start_generation` does.
    """
    return start_generation(
        actor,
        variant=generation.variant,
        prompt=generation.prompt,
        params=SamplingParams.from_mapping(generation.params),
        conversation=generation.conversation,
        parent=generation.parent,
        request_key=request_key,
        kind=Kind(generation.kind),
        origin=Origin(rerun_of=generation, opening=tuple(generation.opening)),
    )


def may_run_again(generation: Generation) -> bool:
    """Whether others than its owner may start it again: it is over, and its model is still offered here."""
    variant = generation.variant
    return not generation.is_active and variant.is_runnable and variant.card.is_published


def rerun_shared(actor: Actor, generation: Generation, *, request_key: uuid.UUID | None = None) -> Generation:
    """Start somebody's run once more for a reader whom its link shows it, in a conversation of the reader's own.

    Raises as `start_generation` does.
    """
    system = generation.messages[0] if generation.kind == Kind.CHAT else {}
    return start_generation(
        actor,
        variant=generation.variant,
        prompt=generation.prompt,
        params=SamplingParams.from_mapping(generation.params),
        system_prompt=system["content"] if system.get("role") == "system" else None,
        request_key=request_key,
        kind=Kind(generation.kind),
        origin=Origin(rerun_of=generation, opening=tuple(generation.opening)),
    )


def answer_again(
    actor: Actor,
    generation: Generation,
    *,
    variant: Variant | None = None,
    params: SamplingParams | None = None,
    request_key: uuid.UUID | None = None,
) -> Generation:
    """Send a run's prompt once more from its place, as a sibling: by the same variant and parameters, or by these.

    The messages are made anew: unlike a repetition's, they have the system prompt that the conversation has now.
    Raises as `start_generation` does.
    """
    return start_generation(
        actor,
        variant=variant or generation.variant,
        prompt=generation.prompt,
        params=params or SamplingParams.from_mapping(generation.params),
        conversation=generation.conversation,
        parent=generation.parent,
        request_key=request_key,
        kind=Kind(generation.kind),
    )


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text in three: what both have, the first token that differs, and the rest."""

    same: str
    differing: str
    rest: str


@dataclass(frozen=True, slots=True)
class RerunComparison:
    """An earlier run and its repetition. `first_difference` counts tokens from 0; None when all are the same.

    `stopped` is the one that was stopped where the other goes on, after the very same tokens: then none differs.
    """

    first_difference: int | None
    earlier: SplitText
    later: SplitText
    reasons: tuple[str, ...]
    stopped: Which | None = None

    @property
    def is_exact(self) -> bool:
        return self.first_difference is None

    @property
    def same_tokens(self) -> int | None:
        """How many tokens were compared before one run was stopped, all of them the same."""
        return self.first_difference if self.stopped else None


def compare_rerun(earlier: Generation, later: Generation) -> RerunComparison:
    """Compare two finished runs, token by token."""
    before, after = trace_tokens(earlier), trace_tokens(later)
    at = first_difference(before, after)
    if at is not None and (stopped := _stopped(earlier, later, at, len(before), len(after))):
        return RerunComparison(at, _split(before, at, 0), _split(after, at, 0), (), stopped)
    reasons = (
        ()
        if at is None
        else tuple(_reasons(earlier, later))
        or (_("Nothing recorded differs: what the machine computed beside it may have rounded otherwise."),)
    )
    return RerunComparison(at, _split(before, at), _split(after, at), reasons)


def _stopped(earlier: Generation, later: Generation, at: int, before: int, after: int) -> Which | None:
    """The run that was stopped at its token `at`, the lengths being given."""
    if at == before and _was_stopped(earlier):
        return "earlier"
    return "later" if at == after and _was_stopped(later) else None


def _was_stopped(run: Generation) -> bool:
    return run.state == State.CANCELLED or run.finish_reason == FinishReason.DEADLINE


def first_difference(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> int | None:
    """The number of the first token that is not the same; where one is a beginning of the other, its end."""
    for at, (one, other) in enumerate(zip(before, after, strict=False)):
        if (one["id"], one["text"]) != (other["id"], other["text"]):
            return at
    return None if len(before) == len(after) else min(len(before), len(after))


def _split(tokens: Sequence[Mapping[str, Any]], at: int | None, differing: int = 1) -> SplitText:
    texts = [str(each["text"]) for each in tokens]
    if at is None:
        return SplitText("".join(texts), "", "")
    return SplitText("".join(texts[:at]), "".join(texts[at : at + differing]), "".join(texts[at + differing :]))


def _reasons(earlier: Generation, later: Generation) -> Iterator[str]:
    """What may have made the difference, the surest first."""
    before, after = _flat(earlier.provenance), _flat(later.provenance)
    differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in differing[:_MAX_NAMED]:
        yield _("%(what)s was %(before)s and is %(after)s.") % {
            "what": name, "before": before.get(name, _("not recorded")), "after": after.get(name, _("not recorded")),
        }  # fmt: skip
    if len(differing) > _MAX_NAMED:
        yield _("%d more facts of the weights or the software differ.") % (len(differing) - _MAX_NAMED)
    if earlier.finish_reason != later.finish_reason:
        yield _("They ended differently: %(before)s and %(after)s.") % {
            "before": earlier.finish_reason or earlier.state, "after": later.finish_reason or later.state,
        }  # fmt: skip
    for run, which in ((earlier, _("earlier")), (later, _("later"))):
        if run.usage.get("cached_tokens"):
            yield _("The %s run reused a prefix that was computed before, which rounds differently.") % which
        if had_company(run):
            yield _("The %s run shared its batch with others, which rounds differently.") % which
    if earlier.variant.folder is None:
        yield _("An upstream promises no repetition: it may not honour the seed.")


def had_company(run: Generation) -> bool:
    """Whether another run of its variant was under way at the same time."""
    if run.started_at is None or run.finished_at is None:
        return False
    others = Generation.objects.filter(variant=run.variant_id, started_at__lt=run.finished_at).exclude(pk=run.pk)
    return others.filter(finished_at__gt=run.started_at).exists()


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = str(value)
    return flat
