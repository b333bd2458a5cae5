"""Generations and their tokens. The row is the truth; what happens to one row is a method here."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inference.events import FinishReason
from portal.accounts.models import ApiToken
from portal.catalog.models import Variant
from portal.playground.models.conversation import Conversation
from portal.playground.models.tally import RunTally
from portal.prepared_writing import PreparedUpdates, insert


class State(models.TextChoices):
    """queued → running → succeeded | failed | cancelled; a lost or released run goes back to queued."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Kind(models.TextChoices):
    """What is done with the prompt."""

    CHAT = "chat", _("Chat")
    # The text is continued as it stands, without a chat template.
    COMPLETION = "completion", _("Raw completion")
    # Nothing is written: each token of the text gets the probability that the model gave it.
    SCORE = "score", _("Scored text")


# Where a run must stand for what is to happen to it: as columns and their values where every run comes by.
Condition = Q | dict[str, Any]

ACTIVE_STATES: Final = (State.QUEUED, State.RUNNING)
FINAL_STATES: Final = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def _integer(path: str) -> Coalesce:
    # An upstream may name any number.
    return Coalesce(Cast(KT(path), models.BigIntegerField()), 0)


class Generation(models.Model):
    """One prompt and its answer, with everything that is needed to repeat it.

    Every write after a claim carries the claim's `attempt`; when it changes no row, somebody else owns the run.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="generations")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="generations")
    # Chosen by the client, so that sending one prompt twice starts one run.
    request_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.CHAT)
    # The token that it was asked with, for that token's quota.
    api_token = models.ForeignKey(
        ApiToken, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    prompt = models.TextField(_("prompt"))
    messages = models.JSONField(_("messages sent to the model"))
    params = models.JSONField(_("sampling parameters"))
    # Turns left out of the messages since they no longer fitted the context.
    dropped_turns = models.PositiveSmallIntegerField(_("turns left out"), default=0)
    # The tokens that the answer was made to begin with, [{id, text}], and where they come from: the tokens of another
    # answer up to number `branch_token`, and there another choice.
    opening = models.JSONField(_("beginning given"), default=list, blank=True)
    branched_from = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="branches")
    branch_token = models.PositiveIntegerField(_("branched at token"), null=True, blank=True)
    rerun_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reruns")
    # The run is computed as a whole, nothing of it remembered from others: alone, it comes out the same every time.
    is_repeatable = models.BooleanField(_("repeats exactly"), default=False)

    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    lost_leases = models.PositiveSmallIntegerField(_("workers lost"), default=0)
    claimed_by = models.CharField(_("worker"), max_length=64, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    rendered_prompt = models.TextField(_("rendered prompt"), blank=True)
    output = models.TextField(_("answer"), blank=True)
    thinking = models.TextField(_("thinking"), blank=True)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    usage = models.JSONField(_("usage"), default=dict)
    timings = models.JSONField(_("timings"), default=dict)
    provenance = models.JSONField(_("provenance"), default=dict)
    # What it counts for in a quota: all that it may write while it is under way, then what was read and written.
    counted_tokens = models.GeneratedField(
        expression=models.Case(
            models.When(state__in=ACTIVE_STATES, then=_integer("params__max_tokens")),
            default=_integer("usage__prompt_tokens") + _integer("usage__completion_tokens"),
        ),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    dispatch_after = models.DateTimeField(default=timezone.now)
    dispatches = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state=State.RUNNING) | (Q(lease_expires_at__isnull=False) & ~Q(claimed_by="")),
                name="running_generation_is_leased",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ACTIVE_STATES, finished_at__isnull=True)
                | Q(state__in=FINAL_STATES, finished_at__isnull=False),
                name="final_generation_has_finished_at",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "created_at"], name="generation_in_conversation"),
            models.Index(fields=["-created_at", "-id"], name="generation_created"),
            models.Index(fields=["variant", "queued_at"], condition=Q(state=State.QUEUED), name="generation_queue"),
            models.Index(fields=["lease_expires_at"], condition=Q(state=State.RUNNING), name="generation_lease"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return f"{self.conversation.get_absolute_url()}?at={self.pk}#generation-{self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES

    # Transitions. Each is one conditional UPDATE and says whether it took place; an end is tallied with it.

    def claim(self, worker_id: str, lease: timedelta) -> bool:
        """queued → running for `worker_id`. After True, `attempt` is this claim's number, its fence from now on."""
        now = timezone.now()
        claimed = self._move(
            {"state": State.QUEUED, "attempt": self.attempt},
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            claimed_by=worker_id,
            lease_expires_at=now + lease,
            started_at=now,
        )
        if claimed:
            self.attempt += 1
            self.state = State.RUNNING
            self.started_at = now
        return claimed

    def succeed(self, **result: Any) -> bool:
        """running → succeeded (or cancelled, when that is why it ended), with the result's columns."""
        is_cancelled = result.get("finish_reason") == FinishReason.CANCELLED
        return self._end(self._mine(), State.CANCELLED if is_cancelled else State.SUCCEEDED, **result)

    def fail(self, code: str, message: str, **result: Any) -> bool:
        """running → failed, with a stable code and a sentence for the person who asked."""
        return self._end(self._mine(), State.FAILED, error_code=code, error_message=message[:500], **result)

    def release(self) -> bool:
        """running → queued: this worker gives the run back, another may take it from its start."""
        return self._give_back(Q(**self._mine()))

    def expire_to_queued(self) -> bool:
        """running → queued: the lease of the attempt that this object shows has run out."""
        return self._give_back(self._expired(), lost_leases=F("lost_leases") + 1)

    def expire_to_failed(self, code: str, message: str) -> bool:
        """running → failed: the lease has run out too often."""
        return self._end(
            self._expired(), State.FAILED, lost_leases=F("lost_leases") + 1, error_code=code, error_message=message
        )

    def request_cancel(self) -> bool:
        """End a queued run at once; ask a running one's worker to stop it. False when it had ended already.

        The wish is written first: whether the run is claimed or given back in between, it is obeyed.
        """
        if not self._move(Q(state__in=ACTIVE_STATES), cancel_requested_at=timezone.now()):
            return False
        self._end({"state": State.QUEUED}, State.CANCELLED, finish_reason=FinishReason.CANCELLED)
        return True

    def _give_back(self, condition: Q, **values: Any) -> bool:
        cancelled = self._end(
            condition & Q(cancel_requested_at__isnull=False),
            State.CANCELLED,
            finish_reason=FinishReason.CANCELLED,
            **values,
        )
        return cancelled or self._move(
            condition,
            state=State.QUEUED,
            claimed_by="",
            lease_expires_at=None,
            started_at=None,
            dispatch_after=timezone.now(),
            dispatches=0,
            **values,
        )

    def _end(self, condition: Condition, state: State, **values: Any) -> bool:
        with transaction.atomic(savepoint=False):
            is_ended = self._move(
                condition, state=state, finished_at=timezone.now(), lease_expires_at=None, claimed_by="", **values
            )
            if is_ended:
                insert(RunTally.of_one(self.variant_id, state, values))
        return is_ended

    def _mine(self) -> dict[str, Any]:
        return {"state": State.RUNNING, "attempt": self.attempt}

    def _expired(self) -> Q:
        return Q(**self._mine(), lease_expires_at__lt=timezone.now())

    def _move(self, condition: Condition, **values: Any) -> bool:
        if isinstance(condition, Q):
            return Generation.objects.filter(condition, pk=self.pk).update(**values) == 1
        return _update({"pk": self.pk, **condition}, values) == 1


_update: Final = PreparedUpdates(Generation)


class TokenTrace(models.Model):
    """The tokens of an answer in order: [{id, text, logprob, channel, top: [{id, text, logprob}]}]."""

    generation = models.OneToOneField(Generation, on_delete=models.CASCADE, primary_key=True, related_name="trace")
    tokens = models.JSONField(default=list)

    def __str__(self) -> str:
        return str(self.pk)
