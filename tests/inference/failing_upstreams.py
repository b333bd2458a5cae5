"""Engines whose upstreams fail: how long they wait, what they are asked, and how they must fail."""

from __future__ import annotations

from dataclasses import replace

from inference.engine import GenerationRequest, Message
from inference.events import Failed, FailureCode
from inference.sampling_params import SamplingParams
from inference.upstream_client import UpstreamPatience

KEY = "sk-very-secret"
# So long that only an upstream that has really gone silent is given up, whatever else the machine does.
PATIENT = UpstreamPatience(
    connect_s=120, first_byte_s=120, between_pieces_s=120, usage_s=120, first_pause_s=0.01, longest_pause_s=0.5
)
# For upstreams that never say another word: however long a pause, nothing could come within it.
HASTY = replace(PATIENT, first_byte_s=0.4, between_pieces_s=0.4)


def asked(request_id: str = "a", *, deadline_s: float | None = None, **params: object) -> GenerationRequest:
    messages = (Message("user", "tell me"),)
    sampling = SamplingParams(**{"max_tokens": 50, **params})
    return GenerationRequest(request_id=request_id, messages=messages, params=sampling, deadline_s=deadline_s)


def assert_failed(ended: object, part: str, code: FailureCode = FailureCode.UPSTREAM) -> None:
    assert isinstance(ended, Failed), ended
    assert ended.code is code
    assert part in ended.message
    assert KEY not in ended.message
