"""Generations as the API tells of them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from portal.api.references import ConversationReference, VariantReference
from portal.api.serializers import ObjectField, PartSerializer
from portal.exports.rows import iso_utc
from portal.playground.inside import read_tokens, score_text
from portal.playground.models import Generation, Kind, State
from portal.playground.queries import run_figures, trace_tokens
from portal.playground.queue_position import queue_position
from portal.playground.run_record import RECORD_VERSION, run_record


class FiguresSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """What the run measured; null is not known."""

    first_token_s = serializers.FloatField(allow_null=True, help_text=_("From the moment of queueing."))
    tokens_per_s = serializers.FloatField(allow_null=True)
    prompt_tokens = serializers.IntegerField(allow_null=True)
    completion_tokens = serializers.IntegerField(allow_null=True)


class RunErrorSerializer(serializers.Serializer):  # type: ignore[type-arg]
    code = serializers.CharField(help_text=_("Does not change its meaning."))
    message = serializers.CharField()


class GenerationSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One prompt and its answer."""

    id = serializers.UUIDField()
    conversation = ConversationReference()
    # Serializers have a parent of their own; this one only describes.
    parent = serializers.UUIDField(  # type: ignore[assignment]
        allow_null=True, help_text=_("The run that this one follows.")
    )
    kind = serializers.ChoiceField(choices=Kind.choices)
    variant = VariantReference(help_text=_("owner/name:variant"))
    state = serializers.ChoiceField(choices=State.choices)
    prompt = serializers.CharField(allow_blank=True)
    output = serializers.CharField(allow_blank=True, help_text=_("Empty until the run has ended."))
    thinking = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    error = RunErrorSerializer(allow_null=True)
    parameters = ObjectField(help_text=_("Sampling parameters, complete; a seed that nobody chose was drawn."))
    dropped_turns = serializers.IntegerField(help_text=_("Turns that were left out to make room."))
    figures = FiguresSerializer()
    rerun_of = serializers.UUIDField(allow_null=True, help_text=_("The run that this one repeats exactly."))
    branched_from = serializers.UUIDField(allow_null=True, help_text=_("The run whose beginning this one has."))
    branch_token = serializers.IntegerField(allow_null=True, help_text=_("How many tokens of it, from 0."))
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class QueueSerializer(serializers.Serializer):  # type: ignore[type-arg]
    position = serializers.IntegerField(help_text=_("1 is next."))
    eta_s = serializers.FloatField(allow_null=True, help_text=_("About how long it waits; null is not known."))


class GenerationDetailSerializer(GenerationSerializer):
    queue = QueueSerializer(allow_null=True, help_text=_("Where it stands while it is queued."))


class GenerationPartSerializer(PartSerializer, GenerationSerializer):
    """A run, or the members of it that `fields` names."""


class GenerationDetailPartSerializer(PartSerializer, GenerationDetailSerializer):
    """Likewise."""


class GenerationPageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = GenerationPartSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text=_("The next page; null at the end."))


class AlternativeSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)
    logprob = serializers.FloatField()


class TraceTokenSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.IntegerField(help_text=_("In the vocabulary; -1 where an upstream does not tell it."))
    text = serializers.CharField(allow_blank=True)
    logprob = serializers.FloatField(allow_null=True)
    channel = serializers.CharField(help_text=_("answer or thinking"))
    top = AlternativeSerializer(many=True)


class TextScoreSerializer(serializers.Serializer):  # type: ignore[type-arg]
    measured = serializers.IntegerField(help_text=_("Tokens with a log-probability."))
    logprob_sum = serializers.FloatField()
    perplexity = serializers.FloatField(allow_null=True)
    bits_per_token = serializers.FloatField(allow_null=True)


class TraceSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The run's record, as its permalink gives it, with its tokens."""

    record = serializers.CharField()
    record_version = serializers.IntegerField()
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    model = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    messages = serializers.ListField(child=ObjectField(), help_text=_("What the model was sent."))
    rendered_prompt = serializers.CharField(allow_blank=True, help_text=_("What the chat template made of it."))
    given_beginning = serializers.ListField(child=ObjectField())
    parameters = ObjectField()
    repeatable = serializers.BooleanField(help_text=_("Alone, it comes out the same every time."))
    thinking = serializers.CharField(allow_blank=True)
    output = serializers.CharField(allow_blank=True)
    finish_reason = serializers.CharField(allow_blank=True)
    error = RunErrorSerializer(allow_null=True)
    usage = ObjectField()
    timings = ObjectField(help_text=_("Seconds."))
    provenance = ObjectField(help_text=_("Digests of the weights and of the chat template, versions, number format."))
    tokens = TraceTokenSerializer(many=True, help_text=_("In order; none while it runs."))
    score = TextScoreSerializer(allow_null=True, help_text=_("How well a scored text was predicted."))


class TracePartSerializer(PartSerializer, TraceSerializer):
    """A trace, or the members of it that `fields` names."""


EXAMPLE_GENERATION: Final = {
    "id": "0d4f7f0c-7a55-4d0e-8f1a-93a5b2b4b8e2",
    "conversation": "5a1c0f3e-6a0e-4d1b-9c4e-0f4c0f6f2a10",
    "parent": None,
    "kind": "chat",
    "variant": "owner/name:bf16",
    "state": "succeeded",
    "prompt": "What is a steelyard?",
    "output": "A balance with two arms.",
    "thinking": "",
    "finish_reason": "stop",
    "error": None,
    "parameters": {"temperature": 0.7, "top_p": 0.95, "max_tokens": 256, "seed": 7},
    "dropped_turns": 0,
    "figures": {"first_token_s": 0.21, "tokens_per_s": 31.5, "prompt_tokens": 14, "completion_tokens": 8},
    "rerun_of": None,
    "branched_from": None,
    "branch_token": None,
    "created_at": "2026-05-01T12:00:00.000000Z",
    "started_at": "2026-05-01T12:00:00.100000Z",
    "finished_at": "2026-05-01T12:00:00.600000Z",
}
EXAMPLE_QUEUED: Final = EXAMPLE_GENERATION | {
    "state": "queued",
    "output": "",
    "finish_reason": "",
    "figures": {"first_token_s": None, "tokens_per_s": None, "prompt_tokens": None, "completion_tokens": None},
    "started_at": None,
    "finished_at": None,
    "queue": {"position": 1, "eta_s": 0.0},
}
EXAMPLE_TRACE: Final = {
    "record": "steelyard-run",
    "record_version": RECORD_VERSION,
    "id": EXAMPLE_GENERATION["id"],
    "kind": "chat",
    "model": "owner/name:bf16",
    "state": "succeeded",
    "created_at": "2026-05-01T12:00:00.000000+00:00",
    "finished_at": "2026-05-01T12:00:00.600000+00:00",
    "messages": [{"role": "user", "content": "What is a steelyard?"}],
    "rendered_prompt": "<|im_start|>user\nWhat is a steelyard?<|im_end|>\n<|im_start|>assistant\n",
    "given_beginning": [],
    "parameters": EXAMPLE_GENERATION["parameters"],
    "repeatable": True,
    "thinking": "",
    "output": "A balance with two arms.",
    "finish_reason": "stop",
    "error": None,
    "usage": {"prompt_tokens": 14, "completion_tokens": 8},
    "timings": {"queue_s": 0.1, "first_token_s": 0.21},
    "provenance": {"dtype": "bfloat16", "weights_sha256": {"model.safetensors": "9f2b…"}},
    "tokens": [
        {
            "id": 49,
            "text": "A",
            "logprob": -0.2,
            "channel": "answer",
            "top": [{"id": 49, "text": "A", "logprob": -0.2}, {"id": 504, "text": "The", "logprob": -1.9}],
        }
    ],
    "score": None,
}
GENERATION_EXAMPLE: Final = OpenApiExample(
    "A finished run", value=EXAMPLE_GENERATION | {"queue": None}, response_only=True
)
QUEUED_EXAMPLE: Final = OpenApiExample("A run that waits", value=EXAMPLE_QUEUED, response_only=True)
GENERATION_FIELDS: Final = tuple(GenerationSerializer().fields)
DETAIL_FIELDS: Final = tuple(GenerationDetailSerializer().fields)
EXPANDABLE: Final = ("conversation", "variant")


def generation_row(run: Generation) -> dict[str, Any]:
    """A run with its answer, without what it takes to repeat it."""
    figures = run_figures(run)
    return {
        "id": str(run.pk),
        "conversation": str(run.conversation_id),
        "parent": str(run.parent_id) if run.parent_id else None,
        "kind": run.kind,
        "variant": run.variant.model_id,
        "state": run.state,
        "prompt": run.prompt,
        "output": run.output,
        "thinking": run.thinking,
        "finish_reason": run.finish_reason,
        "error": {"code": run.error_code, "message": run.error_message} if run.error_code else None,
        "parameters": run.params,
        "dropped_turns": run.dropped_turns,
        "figures": {
            "first_token_s": figures.first_token_s,
            "tokens_per_s": figures.tokens_per_s,
            "prompt_tokens": figures.prompt_tokens,
            "completion_tokens": figures.completion_tokens,
        },
        "rerun_of": str(run.rerun_of_id) if run.rerun_of_id else None,
        "branched_from": str(run.branched_from_id) if run.branched_from_id else None,
        "branch_token": run.branch_token,
        "created_at": iso_utc(run.created_at),
        "started_at": iso_utc(run.started_at) if run.started_at else None,
        "finished_at": iso_utc(run.finished_at) if run.finished_at else None,
    }


def generation_detail(run: Generation) -> dict[str, Any]:
    """The same, with its place in the queue."""
    place = queue_position(run) if run.state == State.QUEUED else None
    queue = {"position": place.position, "eta_s": place.eta_s} if place is not None else None
    return {**generation_row(run), "queue": queue}


def trace(run: Generation) -> dict[str, Any]:
    """Everything that is known of a run."""
    tokens = trace_tokens(run)
    score = score_text(read_tokens(tokens)) if run.kind == Kind.SCORE and tokens else None
    told = None
    if score is not None:
        told = {
            "measured": score.measured,
            "logprob_sum": score.logprob_sum,
            "perplexity": score.perplexity,
            "bits_per_token": score.bits_per_token,
        }
    return {**run_record(run), "tokens": tokens, "score": told}
