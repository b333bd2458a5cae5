"""A chat completion in OpenAI's form: where it is sent, what is sent, and the error object of a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

CHAT = "/v1/chat/completions"
USER = {"role": "user", "content": "What is a steelyard?"}
BODY: dict[str, Any] = {"model": "smol/lm2:bf16", "messages": [USER]}
Ask = Callable[..., Any]


def error_of(response: Any) -> dict[str, Any]:
    """The error object, whose form every refusal shares."""
    error: dict[str, Any] = json.loads(response.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error
